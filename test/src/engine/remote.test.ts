import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { packagePath } from '../../../export/files/package.js';
import { readConfig } from '../../../src/common/config.js';
import { openEngine } from '../../../src/engine/engine.js';
import type { App } from '../../../src/http/app.js';
import { service } from '../../helpers/app.js';
import { cli, startCli } from '../../helpers/cli.js';
import { pngOf } from '../../helpers/images.js';
import { someImages } from '../../helpers/networks.js';

const images = await someImages('test');
const files = await Promise.all(Array.from({ length: 12 }, (_, i) => pngOf(images, i)));

const post = (app: App, url: string, payload: Buffer, type = 'image/png') =>
  app.inject({ method: 'POST', url, payload, headers: { 'content-type': type } });

/** A service in a process of its own; gives its address. */
async function startBehind(t: Test, port = 0, env: NodeJS.ProcessEnv = {}) {
  const child = startCli(['serve', '--port', `${port}`, '--workers', '1', '--threads', '1'], env);
  t.teardown(() => child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stdout! })) {
    const { msg, port } = JSON.parse(line) as { msg: string; port: number };
    if (msg === 'ready') return { child, port, url: `http://127.0.0.1:${port}` };
  }
  throw new Error('the service behind did not start');
}

/** Something else that speaks HTTP; gives its address. */
async function listen(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const remote = (...urls: readonly string[]) => ({ backend: 'oip', backendUrl: urls.join(',') }) as const;

t.test(
  'servers behind give the same bytes; one that dies loses nothing, and is used again when it is back',
  async (t) => {
    const local = await service(t);
    const behind = [await startBehind(t), await startBehind(t), await startBehind(t)];
    const { app, engine } = await service(t, { ...remote(...behind.map(({ url }) => url)), maxBatch: 2 });
    t.equal((await app.inject('/readyz')).json().provider, 'oip');
    t.match(
      (await app.inject('/metrics')).body,
      `irevnet_execution_provider_info{provider="oip",device="${behind[0]!.url}"} 1`,
    );

    const expected = await Promise.all(files.map((file) => post(local.app, '/encode', file)));
    for (const [i, reply] of (await Promise.all(files.map((file) => post(app, '/encode', file)))).entries()) {
      t.equal(reply.statusCode, 200);
      t.ok(reply.rawPayload.equals(expected[i]!.rawPayload), `features of image ${i}`);
      const [here, back] = await Promise.all(
        [local.app, app].map((on) => post(on, '/decode', reply.rawPayload, 'application/x-npy')),
      );
      t.equal(back!.headers['content-type'], 'image/png');
      t.ok(back!.rawPayload.equals(here!.rawPayload), `image ${i} comes back as it does here`);
    }

    let asked = 0;
    const clients = Array.from({ length: 16 }, async () => {
      const replies = [];
      while (asked < 400) {
        const i = asked++ % files.length;
        if (asked === 150) behind[1]!.child.kill('SIGKILL');
        replies.push({ i, reply: await post(app, '/encode', files[i]!) });
      }
      return replies;
    });
    const replies = (await Promise.all(clients)).flat();
    t.equal(replies.length, 400);
    t.same(
      replies.filter(({ reply }) => reply.statusCode !== 200).map(({ reply }) => reply.body),
      [],
    );
    t.ok(replies.every(({ i, reply }) => reply.rawPayload.equals(expected[i]!.rawPayload)));
    t.match(engine.status(), { up: 4, workers: 6 }, 'two of three servers, with two places each');
    t.match((await app.inject('/metrics')).body, /irevnet_worker_restarts_total\{reason="died"\} [1-9]/);

    await startBehind(t, behind[1]!.port);
    while (engine.status().up < 6) await sleep(50);
    t.equal((await app.inject('/readyz')).statusCode, 200);
  },
);

t.test('a service without any server that can be used says why', async (t) => {
  const strange = await listen(t, (_, reply) => reply.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
  const without = await listen(t, (_, reply) => reply.writeHead(404).end());
  const busy = await listen(t, (_, reply) => reply.writeHead(503).end('{"error":"loading"}'));
  for (const [url, message] of [
    ['http://127.0.0.1:1', /http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/],
    [strange, /answers what is no JSON/],
    [without, /has no model fashion-mnist/],
    [busy, /answers 503: \{"error":"loading"\}/],
  ] as const) {
    const engine = await openEngine({ ...readConfig({}, {}), ...remote(url) });
    await t.rejects(engine.ready.finally(engine.close), { reason: 'backend-unreachable', message });
  }
  const flags = ['--port', '0', '--log-level', 'silent', '--backend', 'oip', '--backend-url'];
  const [gone, wrong] = await Promise.all([cli('serve', ...flags, 'http://127.0.0.1:1'), cli('serve', ...flags, '')]);
  t.equal(gone!.code, 24);
  t.match(gone!.stderr, /^irevnet: no server of --backend-url can be used: [^\n]*\n$/);
  t.equal(wrong!.code, 2);
  await t.rejects(openEngine({ ...readConfig({}, {}), backendUrl: 'http://a' }), {
    name: 'SettingsError',
    message: '--backend-url needs --backend oip',
  });
  for (const url of ['', 'triton:8000', 'ftp://a', 'http://user:secret@a', 'http://a?b']) {
    await t.rejects(openEngine({ ...readConfig({}, {}), ...remote(url) }), {
      name: 'SettingsError',
      message: /--backend-url has ".*": expected a URL such as/,
    });
  }
});

t.test('a server with other weights is not used', async (t) => {
  const { url } = await startBehind(t);
  const models = t.testdir();
  const manifest = JSON.parse(await readFile(packagePath('onnx', 'fashion-mnist', 'manifest.json'), 'utf8'));
  manifest.files['weights.bin'].sha256 = manifest.files['weights.bin'].sha256.replace(/^./, (c: string) =>
    c === '0' ? '1' : '0',
  );
  await mkdir(join(models, 'fashion-mnist'));
  await writeFile(join(models, 'fashion-mnist', 'manifest.json'), JSON.stringify(manifest));
  // The manifest alone is enough here: graphs and weights lie behind.
  const engine = await openEngine({ ...readConfig({}, {}), ...remote(url), models });
  t.teardown(engine.close);
  await t.rejects(engine.ready, {
    reason: 'backend-unreachable',
    message: /other graphs or weights than the one here/,
  });
});

t.test('keys are sent to servers that ask for them', async (t) => {
  const key = 'a-key-of-the-tests';
  const { url } = await startBehind(t, 0, { IREVNET_API_KEYS: key });
  const refused = await openEngine({ ...readConfig({}, {}), ...remote(url) });
  t.teardown(refused.close);
  await t.rejects(refused.ready, { message: /401/ });
  const { app } = await service(t, { ...remote(url), backendKey: key });
  const reply = await post(app, '/classify', files[0]!);
  t.equal(reply.statusCode, 200);
});

/** A server of the protocol in front of a real one, that may answer otherwise. */
const between = (
  t: Test,
  url: string,
  odd: (
    path: string,
  ) => { status: number; body: string | Buffer; headers?: Record<string, string> } | 'silence' | undefined,
) =>
  listen(t, async (request, reply) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const instead = odd(request.url!);
    if (instead === 'silence') return;
    if (instead) return void reply.writeHead(instead.status, instead.headers).end(instead.body);
    const { method = 'GET', headers } = request;
    const own = {
      'content-type': headers['content-type'] ?? '',
      'inference-header-content-length': String(headers['inference-header-content-length'] ?? ''),
    };
    const real = await fetch(
      `${url}${request.url}`,
      method === 'GET' ? {} : { method, headers: own, body: Buffer.concat(chunks) },
    );
    const length = real.headers.get('inference-header-content-length');
    reply.writeHead(real.status, length ? { 'inference-header-content-length': length } : {});
    reply.end(Buffer.from(await real.arrayBuffer()));
  });

t.test('a server that answers oddly is left alone, and its requests go to another', async (t) => {
  const { url } = await startBehind(t);
  const json = { status: 200, body: '{"outputs":[]}' };
  const short = { status: 200, headers: { 'inference-header-content-length': '14' }, body: '{"outputs":[]}' };
  for (const answer of [
    { status: 500, body: 'broken' },
    { status: 429, body: 'busy' },
    { status: 503, body: '' },
    json,
    short,
    'silence',
  ] as const) {
    let odd = 0;
    let on = false;
    const bad = await between(t, url, (path) => {
      if (!on || !path.endsWith('/infer')) return undefined;
      odd++;
      return answer;
    });
    const { app, engine } = await service(t, { ...remote(bad, url), hangTimeout: 1 });
    while (engine.status().up < 4) await sleep(20);
    on = true;
    const replies = await Promise.all(files.map((file) => post(app, '/classify', file)));
    t.same(
      replies.map((reply) => reply.statusCode),
      files.map(() => 200),
      JSON.stringify(answer),
    );
    t.ok(odd > 0, 'it was asked');
  }
});

t.test('a request that every server refuses is answered when its time is over', async (t) => {
  const { url } = await startBehind(t);
  let on = false;
  const busy = await between(t, url, (path) =>
    on && path.endsWith('/infer') ? { status: 429, body: 'busy' } : undefined,
  );
  const { app } = await service(t, { ...remote(busy), timeout: 1 });
  on = true;
  const reply = await post(app, '/classify', files[0]!);
  t.equal(reply.statusCode, 504);
  t.equal(reply.json().code, 'answer-timeout');
});

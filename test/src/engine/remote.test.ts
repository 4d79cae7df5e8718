import { once } from 'node:events';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { type Config, readConfig } from '../../../src/common/config.js';
import { explainExit } from '../../../src/common/exit-codes.js';
import { type Engine, openEngine } from '../../../src/engine/engine.js';
import { buildApp } from '../../../src/http/app.js';
import type { App } from '../../../src/http/app-type.js';
import { randomModels, service } from '../../helpers/app.js';
import { pngOf } from '../../helpers/images.js';
import { small, someImages } from '../../helpers/networks.js';

const images = await someImages('test');
const files = await Promise.all(Array.from({ length: 12 }, (_, i) => pngOf(images, i)));

const post = (app: App, url: string, payload: Buffer, type = 'image/png') =>
  app.inject({ method: 'POST', url, payload, headers: { 'content-type': type } });

const models = await randomModels(t, { small: { config: small } });
const settings = { ...readConfig({}, {}), models, model: 'small', workers: 1, threads: 1 };
const engine = await openEngine(settings);
t.teardown(engine.close);
await engine.ready;

/** A service of irevnet that listens, over the engine of this file; a remote server of the service under test. */
async function startRemote(t: Test, { port = 0, ...more }: Partial<Config> = {}) {
  const app = await buildApp({ ...settings, ...more }, engine, pino({ level: 'silent' }));
  const url = await app.listen({ host: '127.0.0.1', port });
  t.teardown(() => app.close());
  /** Stops listening and cuts every connection, as the end of the process would. */
  const kill = () => {
    app.server.close();
    app.server.closeAllConnections();
  };
  return { url, kill, port: Number(new URL(url).port) };
}

/** Resolves when this many replicas are up. */
async function up(of: Engine, replicas: number): Promise<void> {
  while (of.status().up !== replicas) await sleep(5);
}

/** Another HTTP server. @returns its URL */
async function listen(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The settings of a service in front of remote servers. */
const remote = (...urls: readonly string[]) =>
  ({ models, model: 'small', workers: 2, backend: 'oip', backendUrl: urls.join(',') }) as const;

t.test('remote servers compute the same bytes', async (t) => {
  const local = await service(t, { models, model: 'small', workers: 1 });
  const servers = [await startRemote(t), await startRemote(t)];
  const { app } = await service(t, { ...remote(...servers.map(({ url }) => url)), maxBatch: 2 });
  t.equal((await app.inject('/readyz')).json().provider, 'oip');
  t.match(
    (await app.inject('/metrics')).body,
    `irevnet_execution_provider_info{provider="oip",device="${servers[0]!.url}"} 1`,
  );
  const replies = await Promise.all(files.map((file) => post(app, '/encode', file)));
  for (const [i, reply] of replies.entries()) {
    t.equal(reply.statusCode, 200);
    t.ok(reply.rawPayload.equals((await post(local.app, '/encode', files[i]!)).rawPayload), `features of image ${i}`);
    const back = await post(app, '/decode', reply.rawPayload, 'application/x-npy');
    const expected = await post(local.app, '/decode', reply.rawPayload, 'application/x-npy');
    t.equal(back.headers['content-type'], 'image/png');
    t.ok(back.rawPayload.equals(expected.rawPayload), `image ${i}`);
  }
});

t.test('when a server dies no request fails, and it is used again when it is back', async (t) => {
  const servers = [await startRemote(t), await startRemote(t), await startRemote(t)];
  const { app, engine } = await service(t, { ...remote(...servers.map(({ url }) => url)), maxBatch: 2 });
  await up(engine, 6);
  const expected = await Promise.all(files.map((file) => post(app, '/encode', file)));
  let asked = 0;
  const clients = Array.from({ length: 16 }, async () => {
    while (asked < 400) {
      const i = asked++ % files.length;
      if (asked === 150) servers[1]!.kill();
      const reply = await post(app, '/encode', files[i]!);
      if (reply.statusCode !== 200 || !reply.rawPayload.equals(expected[i]!.rawPayload)) t.fail(reply.body);
    }
  });
  await Promise.all(clients);
  t.match(engine.status(), { up: 4, workers: 6 }, 'two of three servers, with two replicas each');
  t.match((await app.inject('/metrics')).body, /irevnet_worker_restarts_total\{reason="died"\} [1-9]/);
  await startRemote(t, { port: servers[1]!.port });
  await up(engine, 6);
  t.equal((await app.inject('/readyz')).statusCode, 200);
});

t.test('a service without a usable server says why', async (t) => {
  const strange = await listen(t, (_, reply) => reply.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
  const without = await listen(t, (_, reply) => reply.writeHead(404).end());
  const busy = await listen(t, (_, reply) => reply.writeHead(503).end('{"error":"loading"}'));
  for (const [url, message] of [
    ['http://127.0.0.1:1', /http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/],
    [strange, /answers what is no JSON/],
    [without, /has no model small/],
    [busy, /answers 503: \{"error":"loading"\}/],
  ] as const) {
    const engine = await openEngine({ ...settings, ...remote(url) });
    const error = await engine.ready.finally(engine.close).catch((e: Error) => e);
    t.match(explainExit(error as Error), { code: 24, message });
    t.match((error as Error).message, /^no server of --backend-url can be used: /);
  }
  await t.rejects(openEngine({ ...settings, backendUrl: 'http://a' }), {
    name: 'SettingsError',
    message: '--backend-url needs --backend oip',
  });
  for (const url of ['', 'triton:8000', 'ftp://a', 'http://user:secret@a', 'http://a?b']) {
    await t.rejects(openEngine({ ...settings, ...remote(url) }), {
      name: 'SettingsError',
      message: /--backend-url has ".*": expected a URL such as/,
    });
  }
});

t.test('a model is taken in once the servers serve it', async (t) => {
  const { url } = await startRemote(t);
  const { app } = await service(t, { ...remote(url), modelControlMode: 'explicit' });
  const load = () => app.inject({ method: 'POST', url: '/v2/repository/models/other/load' });
  const folder = join(models, 'other');
  t.teardown(() => rm(folder, { recursive: true }));
  await cp(join(models, 'small'), folder, { recursive: true });
  const path = join(folder, 'manifest.json');
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), name: 'other' }));
  const early = await load();
  t.equal(early.statusCode, 422);
  t.match(early.json().error, /^Model other: http:\/\/127\.0\.0\.1:\d+ has no model other/);
  await engine.repository.load('other');
  t.equal((await load()).statusCode, 200);
  const encoded = await post(app, '/encode?model=other', files[0]!);
  t.ok(encoded.rawPayload.equals((await post(app, '/encode', files[0]!)).rawPayload));
  const unloaded = await app.inject({ method: 'POST', url: '/v2/repository/models/other/unload' });
  t.equal(unloaded.statusCode, 200);
  await engine.repository.unload('other');
  t.equal((await app.inject('/readyz')).statusCode, 200);
});

t.test('a server with other weights is not used', async (t) => {
  const { url } = await startRemote(t);
  const others = t.testdir();
  const manifest = JSON.parse(await readFile(join(models, 'small', 'manifest.json'), 'utf8'));
  manifest.files['weights.bin'].sha256 = manifest.files['weights.bin'].sha256.replace(/^./, (c: string) =>
    c === '0' ? '1' : '0',
  );
  await mkdir(join(others, 'small'));
  await writeFile(join(others, 'small', 'manifest.json'), JSON.stringify(manifest));
  // No graphs and no weights: the server has them.
  const engine = await openEngine({ ...settings, ...remote(url), models: others });
  t.teardown(engine.close);
  await t.rejects(engine.ready, {
    reason: 'backend-unreachable',
    message: /other graphs or weights than the one here/,
  });
});

t.test('keys are sent to servers that ask for them', async (t) => {
  const key = 'a-key-of-the-tests';
  const { url } = await startRemote(t, { apiKeys: key });
  const refused = await openEngine({ ...settings, ...remote(url) });
  t.teardown(refused.close);
  await t.rejects(refused.ready, { message: /401/ });
  const { app } = await service(t, { ...remote(url), backendKey: key });
  const reply = await post(app, '/classify', files[0]!);
  t.equal(reply.statusCode, 200);
});

/** A proxy in front of a real server, which answers some requests itself. @returns its URL */
const proxy = (
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

t.test('a server that answers wrongly is left alone, and its requests go to another', async (t) => {
  const { url } = await startRemote(t);
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
    const bad = await proxy(t, url, (path) => {
      if (!on || !path.endsWith('/infer')) return undefined;
      odd++;
      return answer;
    });
    const { app, engine } = await service(t, { ...remote(bad, url), hangTimeout: 1 });
    await up(engine, 4);
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

t.test('a request that every server refuses is answered at its deadline', async (t) => {
  const { url } = await startRemote(t);
  let on = false;
  const busy = await proxy(t, url, (path) =>
    on && path.endsWith('/infer') ? { status: 429, body: 'busy' } : undefined,
  );
  const { app } = await service(t, { ...remote(busy), timeout: 1 });
  on = true;
  const reply = await post(app, '/classify', files[0]!);
  t.equal(reply.statusCode, 504);
  t.equal(reply.json().code, 'answer-timeout');
});

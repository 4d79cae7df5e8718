import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { packagePath } from '../../../export/files/package.js';
import { appOn, form, raw, service } from '../../helpers/app.js';
import { startCli } from '../../helpers/cli.js';
import { pngOf } from '../../helpers/images.js';
import { someImages } from '../../helpers/networks.js';

const images = await someImages('test');
const png = await pngOf(images, 0);

interface Started {
  readonly child: ChildProcess;
  readonly port: number;
  readonly lines: Record<string, unknown>[];
}

/** Starts `irevnet serve` on a free port, and waits until it is ready. */
async function start(t: Test, ...flags: string[]): Promise<Started> {
  const child = startCli(['serve', '--port', '0', ...flags]);
  t.teardown(() => child.kill('SIGKILL'));
  const lines: Record<string, unknown>[] = [];
  const port = await new Promise<number>((resolve, reject) => {
    createInterface(child.stdout!).on('line', (line) => {
      const entry = JSON.parse(line);
      lines.push(entry);
      if (entry.msg === 'ready') resolve(entry.port);
    });
    child.once('exit', (code) => reject(new Error(`ended with ${code}`)));
  });
  return { child, port, lines };
}

/** Sends bytes on a socket and gives all that comes back. */
const exchange = (port: number, bytes: string): Promise<string> => {
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  return text(socket);
};

t.test('after SIGTERM the service goes on for its grace, and ends after the requests under way', async (t) => {
  const { child, port, lines } = await start(t, '--grace', '2');
  const address = `http://127.0.0.1:${port}`;
  t.equal((await fetch(`${address}/readyz`)).status, 200);
  const { headers, payload } = await form(...Array.from({ length: 200 }, () => ['file', png] as const));
  const reply = fetch(`${address}/encode`, { method: 'POST', headers, body: new Uint8Array(payload) });
  child.kill('SIGTERM');
  let ready = await fetch(`${address}/readyz`);
  while (ready.status === 200) ready = await fetch(`${address}/readyz`);
  t.match(await ready.json(), { status: 503, code: 'draining' });
  const classified = await fetch(`${address}/classify`, { method: 'POST', body: new Uint8Array(png) });
  t.equal(classified.status, 200);
  const [code] = await once(child, 'close');
  t.equal(code, 0);
  t.match(await reply, { status: 200 });
  const requests = lines.filter(({ msg, path }) => msg === 'request' && path !== '/readyz');
  t.same(requests.map(({ path, status }) => [path, status]).sort(), [
    ['/classify', 200],
    ['/encode', 200],
  ]);
  for (const line of requests) t.match(line, { level: 30, reqId: /^[0-9a-f-]{36}$/, method: 'POST', ms: Number });
});

t.test('on SIGHUP the service serves what its models folder holds', async (t) => {
  const models = t.testdir();
  const put = async (name: string) => {
    const fresh = join(models, `${name}.tmp`);
    await cp(packagePath('onnx', 'fashion-mnist'), fresh, { recursive: true });
    const path = join(fresh, 'manifest.json');
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), name }));
    await rename(fresh, join(models, name));
  };
  await put('fashion-mnist');
  const { child, port, lines } = await start(t, '--models', models, '--workers', '1');
  const ready = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).json();
  const hangUp = async (count: number) => {
    child.kill('SIGHUP');
    while (lines.filter(({ msg }) => msg === 'the models folder is read').length < count) await sleep(5);
  };
  await put('another');
  await mkdir(join(models, 'empty'));
  await hangUp(1);
  t.match(await ready(), { status: 'ready', unavailable: ['empty'] });
  const body = new Uint8Array(png);
  t.equal((await fetch(`http://127.0.0.1:${port}/classify?model=another`, { method: 'POST', body })).status, 200);
  await rm(join(models, 'another'), { recursive: true });
  await rm(join(models, 'empty'), { recursive: true });
  await hangUp(2);
  t.match(await ready(), { status: 'ready', unavailable: [] });
  t.equal((await fetch(`http://127.0.0.1:${port}/classify?model=another`, { method: 'POST', body })).status, 404);
  const told = lines.flatMap(({ msg, model }) => (model === undefined ? [] : [`${model}: ${msg}`]));
  t.same(
    told.filter((line) => !/round trip/.test(line)),
    [
      'another: model is loaded',
      'empty: model cannot be served',
      'another: model is removed',
      'empty: model is removed',
    ],
  );
});

t.test('a second signal ends the service at once', async (t) => {
  const { child, port } = await start(t, '--grace', '3600');
  child.kill('SIGTERM');
  while ((await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200);
  child.kill('SIGTERM');
  t.same(await once(child, 'close'), [1, null]);
});

t.test('an address that is taken ends the start with one line', async (t) => {
  const other = createServer();
  t.teardown(() => other.close());
  await once(other.listen(0, '127.0.0.1'), 'listening');
  const second = startCli(['serve', '--port', String((other.address() as AddressInfo).port)]);
  const [stderr, [code]] = await Promise.all([text(second.stderr!), once(second, 'exit')]);
  t.equal(code, 25);
  t.match(stderr, /^irevnet: 127\.0\.0\.1:\d+: another process listens there.*EADDRINUSE.*\n$/);
});

/** An engine that computes one image after the other: 4096 of them take seconds. */
const { engine } = await service(t, { maxBatch: 1 });
const MANY = { maxQueue: 8192, maxSteps: 4096 };

t.test('the request of a client that leaves is logged once, and its work is dropped', async (t) => {
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
  const { app } = await appOn(t, engine, MANY, log);
  const address = await app.listen({ port: 0, host: '127.0.0.1' });
  const { headers, payload } = await form(['a', png], ['b', png]);
  const leaving = new AbortController();
  const body = new Uint8Array(payload);
  const long = fetch(`${address}/interpolate?steps=4096`, { method: 'POST', headers, body, signal: leaving.signal });
  while (engine.status().waiting === 0) await sleep(1);
  leaving.abort();
  await t.rejects(long);
  t.match(await app.inject({ method: 'POST', url: '/classify', ...raw(png, 'image/png') }), { statusCode: 200 });
  const requests = lines.filter(({ msg }) => msg === 'request').map(({ path, status }) => [path, status]);
  t.same(requests, [
    ['/interpolate', 499],
    ['/classify', 200],
  ]);
});

t.test('what is not HTTP, too long or too slow is answered on the socket', async (t) => {
  const { app } = await appOn(t, engine, { timeout: 1 });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const head = 'POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n';
  const sent: Record<string, string> = {
    'request-malformed': 'NONSENSE\r\n\r\n',
    'headers-too-large': `${head}X-Long: ${'x'.repeat(20_000)}\r\n\r\n`,
    'request-timeout': `${head}Content-Length: 100\r\n\r\nonly this`,
  };
  for (const [code, bytes] of Object.entries(sent)) {
    const reply = await exchange(port, bytes);
    t.match(reply, /^HTTP\/1\.1 4\d\d [\s\S]*\r\ncontent-type: application\/problem\+json\r\n/i);
    t.equal(JSON.parse(reply.split('\r\n\r\n')[1]!).code, code);
  }
});

t.test('health is answered while a model runs; an answer that takes too long is given up', async (t) => {
  const { app } = await appOn(t, engine, { ...MANY, timeout: 1 });
  let done = false;
  const upload = await form(['a', png], ['b', png]);
  const long = app.inject({ method: 'POST', url: '/interpolate?steps=4096', ...upload }).then((reply) => {
    done = true;
    return reply;
  });
  for (let i = 0; i < 5; i++) t.equal((await app.inject('/healthz')).statusCode, 200);
  t.notOk(done, 'health did not wait for the model');
  t.match(await long, { statusCode: 504 });
  t.equal((await long).json().code, 'answer-timeout');
  t.equal((await app.inject({ method: 'POST', url: '/classify', ...raw(png, 'image/png') })).statusCode, 200);
});

t.test('a client says how long it waits; then its work is dropped', async (t) => {
  const { app, engine: own } = await appOn(t, engine, MANY);
  const upload = await form(['a', png], ['b', png]);
  const headers = { ...upload.headers, 'irevnet-timeout-ms': '200' };
  const reply = await app.inject({ method: 'POST', url: '/interpolate?steps=4096', ...upload, headers });
  t.match(reply.json(), { status: 504, code: 'answer-timeout', detail: /more than 200 ms/ });
  t.equal(engine.status().waiting, 0);
  t.equal(own.admission.inside(), 0);
});

t.test('when a client leaves, all requests of its pipeline are over', async (t) => {
  const { app, engine: own } = await appOn(t, engine, MANY);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const client = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  const send = (path: string, headers: Readonly<Record<string, string>>, body: Buffer) => {
    const lines = Object.entries({ host: 'x', 'content-length': body.length, ...headers }).map(
      ([k, v]) => `${k}: ${v}`,
    );
    client.write([`POST ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
    client.write(body);
  };
  const two = await form(['a', png], ['b', png]);
  send('/interpolate?steps=4096', two.headers, two.payload);
  const one = raw(png, 'image/png');
  for (let i = 0; i < 3; i++) send('/classify', one.headers, one.payload);
  while (own.admission.inside() < 4099) await sleep(1);
  client.destroy();
  while (own.admission.inside() > 0) await sleep(1);
  t.match(await app.inject({ method: 'POST', url: '/classify', ...one }), { statusCode: 200 });
});

t.test('what the queue cannot hold is refused, the rest is answered', async (t) => {
  const { app } = await appOn(t, engine, { maxQueue: 4 });
  const upload = await form(...Array.from({ length: 4 }, () => ['file', png] as const));
  const replies = await Promise.all(
    Array.from({ length: 12 }, () => app.inject({ method: 'POST', url: '/encode', ...upload })),
  );
  const refused = replies.filter(({ statusCode }) => statusCode === 429);
  t.ok(refused.length > 0 && refused.length < replies.length, `${refused.length} of ${replies.length}`);
  for (const reply of refused) {
    t.equal(reply.json().code, 'overloaded');
    t.match(reply.headers['retry-after'], /^\d+$/);
  }
});

t.test('an internal error tells the client nothing and the log everything but the image', async (t) => {
  const lines: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) });
  const run = () => Promise.reject(new Error('secret at /some/path'));
  const { app } = await appOn(t, { ...engine, run }, {}, log);
  const reply = await app.inject({ method: 'POST', url: '/classify?model=fashion-mnist', ...raw(png, 'image/png') });
  t.match(reply.json(), { status: 500, code: 'internal-error', requestId: String });
  t.notMatch(reply.payload, /secret|path/);
  t.equal(lines.length, 1, lines.join());
  t.match(JSON.parse(lines[0]!), {
    level: 50,
    reqId: reply.json().requestId,
    path: '/classify',
    status: 500,
    err: { message: 'secret at /some/path' },
  });
});

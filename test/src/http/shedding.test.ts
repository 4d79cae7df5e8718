import { Agent, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { type Config, readConfig } from '../../../src/common/config.js';
import { buildApp } from '../../../src/http/app.js';
import { createMetrics } from '../../../src/observe/metrics.js';
import { service } from '../../helpers/app.js';
import { parseExposition, seriesValue } from '../../helpers/exposition.js';
import { pngOf } from '../../helpers/images.js';
import { someImages } from '../../helpers/networks.js';

const png = Buffer.from(await pngOf(await someImages('test'), 0));
const MAX_QUEUE = 8;

/** A service that listens, and whose house can be filled. */
async function listening(t: Test, settings: Partial<Config> = {}) {
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
  const { engine } = await service(t, { workers: 1, maxQueue: MAX_QUEUE });
  const metrics = createMetrics();
  const app = await buildApp({ ...readConfig({}, {}), ...settings }, engine, log, metrics);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(async () => {
    agent.destroy();
    await app.close();
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const series = async () => parseExposition((await app.inject('/metrics')).payload);
  return { engine, app, lines, series, send: (asked: Asked) => send(port, agent, asked) };
}

interface Asked {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly chunked?: boolean;
}

/** Sends a request on the one connection of an agent. */
async function send(port: number, agent: Agent, { path, method = 'POST', headers = {}, chunked }: Asked) {
  const body = method === 'GET' ? Buffer.alloc(0) : png;
  const length = chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(body.length) };
  const reply = await new Promise<IncomingMessage & { reused: boolean }>((resolve, reject) => {
    const asked = request(
      { port, host: '127.0.0.1', agent, path, method, headers: { 'content-type': 'image/png', ...length, ...headers } },
      (found) => resolve(Object.assign(found, { reused: asked.reusedSocket })),
    );
    asked.on('error', reject);
    asked.end(body);
  });
  return { status: reply.statusCode, headers: reply.headers, reused: reply.reused, body: await text(reply) };
}

t.test('a full house refuses at the door, and the connection goes on', async (t) => {
  const { engine, send, series, lines } = await listening(t);
  const leave = engine.admission.enter(MAX_QUEUE);
  const first = await send({ path: '/classify?topK=2', headers: { 'x-request-id': 'mine' } });
  t.match(first, {
    status: 429,
    headers: {
      'content-type': 'application/problem+json',
      'retry-after': '1',
      'x-request-id': 'mine',
      'cache-control': 'no-store',
    },
  });
  t.equal(first.headers['server-timing'], undefined, 'it did not come into the app');
  t.match(JSON.parse(first.body), { code: 'overloaded', status: 429, requestId: 'mine', detail: /8 images/ });
  const second = await send({ path: '/v2/models/fashion-mnist/infer' });
  t.match(second, { status: 429, reused: true, headers: { 'content-type': 'application/json' } });
  t.match(JSON.parse(second.body), { error: /8 images/ });
  t.match(await send({ path: '/healthz', method: 'GET' }), { status: 200, reused: true }, 'health is not shed');
  leave();
  t.match(await send({ path: '/classify' }), { status: 200, reused: true }, 'there is room again');

  const found = await series();
  const refused = { method: 'POST', status: '429' };
  t.equal(seriesValue(found, 'irevnet_requests_total', { route: '/classify', ...refused }), 1);
  t.equal(seriesValue(found, 'irevnet_requests_total', { route: '/v2/models/:model/infer', ...refused }), 1);
  t.equal(seriesValue(found, 'irevnet_rejected_total', { code: 'overloaded' }), 2);
  await sleep(1100);
  t.match(
    lines.filter(({ msg }) => msg === 'refused for want of room'),
    [{ level: 40, overloaded: 2 }],
    'the log tells how many, not each',
  );
});

t.test('what needs more care passes the door, and is refused in the app', async (t) => {
  const { engine, send } = await listening(t, { corsOrigins: 'https://example.org' });
  engine.admission.enter(MAX_QUEUE);
  const cases: Record<string, Asked> = {
    'a page of another origin': { path: '/classify', headers: { origin: 'https://example.org' } },
    'a body of unknown length': { path: '/classify', chunked: true },
  };
  for (const [name, asked] of Object.entries(cases)) {
    const reply = await send(asked);
    t.match(reply, { status: 429, headers: { 'server-timing': /total/ } }, name);
    t.equal(JSON.parse(reply.body).code, 'overloaded', name);
  }
  const page = await send(cases['a page of another origin']!);
  t.equal(page.headers['access-control-allow-origin'], 'https://example.org', 'so the page can read why');
  t.equal((await send({ path: '/nowhere' })).status, 404);
  t.equal((await send({ path: '/classify', method: 'PUT' })).status, 405);
});

t.test('nothing comes in before the models are there', async (t) => {
  const { engine } = await service(t, { workers: 1 });
  const starting = { ...engine, status: () => ({ ...engine.status(), started: false }) };
  const app = await buildApp(readConfig({}, {}), starting, pino({ level: 'silent' }));
  const agent = new Agent({ keepAlive: true });
  t.teardown(async () => {
    agent.destroy();
    await app.close();
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const reply = await send((app.server.address() as AddressInfo).port, agent, { path: '/encode' });
  t.match(reply, { status: 503, headers: { 'retry-after': '1' } });
  t.equal(JSON.parse(reply.body).code, 'not-ready');
});

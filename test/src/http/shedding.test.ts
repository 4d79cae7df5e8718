import { Agent, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import t from 'tap';
import { appOn, raw, service } from '../../helpers/app.js';
import { parseExposition, seriesValue } from '../../helpers/exposition.js';
import { pngOf } from '../../helpers/images.js';
import { someImages } from '../../helpers/networks.js';

const MAX_QUEUE = 8;
const { engine } = await service(t);
const png = await pngOf(await someImages('test'), 0);
const upload = { method: 'POST', ...raw(png, 'image/png') } as const;

t.test('while the queue is full, uploads are refused like any other request that fails', async (t) => {
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
  const { app, engine: own } = await appOn(
    t,
    engine,
    { maxQueue: MAX_QUEUE, apiKeys: 'a-key-of-16-bytes-or-more' },
    log,
  );
  const authorization = 'Bearer a-key-of-16-bytes-or-more';
  const send = (url: string) =>
    app.inject({ ...upload, url, headers: { ...upload.headers, authorization, 'x-request-id': 'mine' } });
  const leave = own.admission.enter(MAX_QUEUE);
  const refused = await send('/classify?topK=2');
  t.match(refused, {
    statusCode: 429,
    headers: {
      'content-type': 'application/problem+json',
      'retry-after': '1',
      'x-request-id': 'mine',
      'cache-control': 'no-store',
      'server-timing': /total/,
    },
  });
  t.match(refused.json(), { code: 'overloaded', status: 429, requestId: 'mine', detail: /8 images/ });
  t.match(lines, [{ level: 30, reqId: 'mine', path: '/classify', status: 429, code: 'overloaded' }]);
  const oip = await send('/v2/models/fashion-mnist/infer');
  t.match(oip, { statusCode: 429, headers: { 'content-type': /^application\/json/ } });
  t.match(oip.json(), { error: /8 images/ });
  t.match(
    await app.inject({ ...upload, url: '/classify' }),
    { statusCode: 401 },
    'a request without a key learns nothing',
  );
  t.match(await app.inject('/healthz'), { statusCode: 200 });
  leave();
  t.match(await send('/classify'), { statusCode: 200 });
  const found = parseExposition((await app.inject({ url: '/metrics', headers: { authorization } })).payload);
  const counted = { method: 'POST', status: '429' };
  t.equal(seriesValue(found, 'irevnet_requests_total', { route: '/classify', ...counted }), 1);
  t.equal(seriesValue(found, 'irevnet_requests_total', { route: '/v2/models/:model/infer', ...counted }), 1);
  t.equal(seriesValue(found, 'irevnet_rejected_total', { code: 'overloaded' }), 2);
});

t.test('a page of another origin can read the refusal', async (t) => {
  const origin = 'https://example.org';
  const { app, engine: own } = await appOn(t, engine, { maxQueue: MAX_QUEUE, corsOrigins: origin });
  own.admission.enter(MAX_QUEUE);
  const reply = await app.inject({ ...upload, url: '/classify', headers: { ...upload.headers, origin } });
  t.match(reply, { statusCode: 429, headers: { 'access-control-allow-origin': origin } });
  t.equal((await app.inject({ method: 'POST', url: '/nowhere' })).statusCode, 404);
  t.equal((await app.inject({ method: 'PUT', url: '/classify' })).statusCode, 405);
});

t.test('a refused upload leaves its connection open for the next request', async (t) => {
  const { app, engine: own } = await appOn(t, engine, { maxQueue: MAX_QUEUE });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const send = async () => {
    const { headers, method, payload } = upload;
    const sent = request({ port, host: '127.0.0.1', agent, path: '/classify', method, headers });
    const reply = new Promise<IncomingMessage>((resolve, reject) => sent.on('response', resolve).on('error', reject));
    sent.end(payload);
    const { statusCode } = await reply.then(async (found) => {
      await text(found);
      return found;
    });
    return { statusCode, reused: sent.reusedSocket };
  };
  const leave = own.admission.enter(MAX_QUEUE);
  t.same(await send(), { statusCode: 429, reused: false });
  t.same(await send(), { statusCode: 429, reused: true });
  leave();
  t.same(await send(), { statusCode: 200, reused: true });
});

t.test('uploads are refused until the models are loaded', async (t) => {
  const { app } = await appOn(t, { ...engine, status: () => ({ ...engine.status(), started: false }) });
  const reply = await app.inject({ ...upload, url: '/encode' });
  t.match(reply, { statusCode: 503, headers: { 'retry-after': '1' } });
  t.equal(reply.json().code, 'not-ready');
});

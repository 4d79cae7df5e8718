import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import type { Engine } from '../../../src/engine/engine.js';
import type { App } from '../../../src/http/app-type.js';
import { appOn, form, raw, service } from '../../helpers/app.js';
import { pngOf } from '../../helpers/images.js';
import { someImages } from '../../helpers/networks.js';

const { engine } = await service(t);
const images = await someImages('test');
const png = await pngOf(images, 0);

/** A span as OTLP sends it in JSON. https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
interface Sent {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
  readonly status: { readonly code: number };
}
const SERVER = 2;
const ERROR = 2;

interface Collected {
  readonly resourceSpans: readonly {
    readonly resource: Pick<Sent, 'attributes'>;
    readonly scopeSpans: readonly { readonly spans: readonly Sent[] }[];
  }[];
}

/** A collector that keeps what it is sent. */
async function collector(t: Test): Promise<{ endpoint: string; received: Collected[] }> {
  const received: Collected[] = [];
  const server = createServer(async (request, response) => {
    if (request.url !== '/v1/traces') return response.writeHead(404).end();
    received.push((await json(request)) as Collected);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  return { endpoint: await listening(t, server), received };
}

/** The address of a server that ends with the test. */
async function listening(t: Test, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A service that is traced, and the lines that it logs. */
async function traced(t: Test, otlpEndpoint: string, change: Partial<Engine> = {}) {
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
  const { app } = await appOn(t, { ...engine, ...change }, { otlpEndpoint }, log);
  return { app, lines };
}

const spansOf = (received: readonly Collected[]): Sent[] =>
  received.flatMap((c) => c.resourceSpans.flatMap((r) => r.scopeSpans.flatMap((s) => s.spans)));
const attributesOf = ({ attributes }: Pick<Sent, 'attributes'>): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
const classify = (app: App, headers: Record<string, string> = {}) =>
  app.inject({
    method: 'POST',
    url: '/classify?topK=3',
    headers: { ...headers, 'content-type': 'image/png' },
    payload: png,
  });

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

t.test('without an endpoint nothing of OpenTelemetry is loaded', async (t) => {
  const { app } = await appOn(t, engine);
  t.equal((await classify(app)).statusCode, 200);
  const loaded = Object.keys(createRequire(import.meta.url).cache);
  t.ok(loaded.some((path) => path.includes('prom-client')));
  t.notOk(loaded.some((path) => path.includes('@opentelemetry/sdk-trace')));
});

t.test('a request is a span, and its stages are its children', async (t) => {
  const { endpoint, received } = await collector(t);
  const { app, lines } = await traced(t, `${endpoint}/`);
  const before = Date.now();
  await classify(app, { traceparent: `00-${TRACE}-${PARENT}-01` });
  await app.inject({ method: 'POST', url: '/encode', ...(await form(['file', png], ['file', png])) });
  await app.close();
  const after = Date.now();
  const spans = spansOf(received);
  const [classified, encoded] = spans.filter(({ kind }) => kind === SERVER);
  t.match(classified, { name: 'POST /classify', traceId: TRACE, parentSpanId: PARENT });
  t.match(encoded, { name: 'POST /encode', traceId: /^[0-9a-f]{32}$/, parentSpanId: undefined });
  t.not(encoded!.traceId, TRACE);
  t.same(attributesOf(classified!), {
    'http.request.method': 'POST',
    'http.route': '/classify',
    'http.response.status_code': 200,
    'url.scheme': 'http',
    'url.path': '/classify',
  });
  for (const [parent, names] of [
    [classified!, ['read', 'decode', 'queue', 'inference']],
    [encoded!, ['read', 'decode', 'queue', 'inference', 'encode']],
  ] as const) {
    const children = spans.filter(({ parentSpanId }) => parentSpanId === parent.spanId);
    t.same(
      children.map(({ name }) => name),
      names,
    );
    t.ok(children.every(({ traceId }) => traceId === parent.traceId));
    const times = children.flatMap((c) => [c.startTimeUnixNano, c.endTimeUnixNano]).map(BigInt);
    const all = [BigInt(parent.startTimeUnixNano), ...times, BigInt(parent.endTimeUnixNano)];
    t.same(
      all,
      [...all].sort((a, b) => Number(a - b)),
      'one after the other, inside the request',
    );
    t.ok(all[0]! >= BigInt(before - 5) * 1_000_000n && all.at(-1)! <= BigInt(after + 5) * 1_000_000n);
  }
  const logged = lines.filter(({ msg }) => msg === 'request').map(({ trace_id }) => trace_id);
  t.same(logged, [TRACE, encoded!.traceId]);
  t.match(attributesOf(received[0]!.resourceSpans[0]!.resource), {
    'service.name': 'irevnet',
    'service.version': /^\d/,
  });
  t.notMatch(JSON.stringify(received), /topK/, 'nothing of the query');
});

t.test('failures: 5xx are errors, others are not; a parent that is none is ignored', async (t) => {
  const { endpoint, received } = await collector(t);
  const { app } = await traced(t, endpoint, { run: () => Promise.reject(new Error('secret')) });
  const wrong = ['', 'x', `00-${TRACE}-${PARENT}`, `00-${'0'.repeat(32)}-${PARENT}-01`, `ff-${TRACE}-${PARENT}-01`];
  for (const traceparent of wrong) t.equal((await classify(app, { traceparent })).statusCode, 500);
  t.equal((await app.inject('/nowhere')).statusCode, 404);
  await app.inject({ method: 'POST', url: '/classify', ...raw(Buffer.from('no image'), 'image/png') });
  await app.close();
  const spans = spansOf(received).filter(({ kind }) => kind === SERVER);
  const [failed, rest] = [spans.slice(0, wrong.length), spans.slice(wrong.length)];
  for (const span of failed) {
    t.match(span, { status: { code: ERROR }, parentSpanId: undefined });
    t.match(attributesOf(span), { 'error.type': 'internal-error', 'http.response.status_code': 500 });
  }
  t.equal(new Set(failed.map(({ traceId }) => traceId)).size, wrong.length);
  t.match(rest, [
    { name: 'GET', status: { code: 0 } },
    { name: 'POST /classify', status: { code: 0 } },
  ]);
  t.notOk('http.route' in attributesOf(rest[0]!));
  t.notMatch(JSON.stringify(received), /secret/);
});

t.test('what the caller does not sample is not sent, and has its id in the log all the same', async (t) => {
  const { endpoint, received } = await collector(t);
  const { app, lines } = await traced(t, endpoint);
  await classify(app, { traceparent: `00-${TRACE}-${PARENT}-00` });
  await app.close();
  t.same(received, []);
  t.equal(lines[0]!.trace_id, TRACE);
});

t.test('a collector that refuses is told of once in a while', async (t) => {
  let exports = 0;
  const server = createServer((_request, response) => {
    exports++;
    response.writeHead(400).end();
  });
  const { app, lines } = await traced(t, await listening(t, server));
  const warnings = () => lines.filter(({ msg }) => msg === 'traces are lost');
  // As many spans as are sent without delay.
  for (let i = 0; i < 512; i++) await app.inject('/healthz');
  while (warnings().length === 0) await sleep(5);
  await app.inject('/healthz');
  await app.close();
  t.equal(exports, 2);
  t.equal(warnings().length, 1);
  t.match(warnings()[0], { level: 40, err: { message: String } });
});

t.test('an endpoint that is no address of a collector is named', async (t) => {
  for (const otlpEndpoint of ['collector:4318', 'ftp://collector', 'http://']) {
    await t.rejects(appOn(t, engine, { otlpEndpoint }), {
      name: 'SettingsError',
      message: /OTEL_EXPORTER_OTLP_ENDPOINT is ".*expected/,
    });
  }
});

t.test('a collector that is not there disturbs nothing', async (t) => {
  const { app, lines } = await traced(t, 'http://127.0.0.1:1');
  t.equal((await classify(app)).statusCode, 200);
  await app.close();
  t.match(lines, [
    { msg: 'request', status: 200 },
    { msg: 'traces are lost', endpoint: 'http://127.0.0.1:1', err: { message: /ECONNREFUSED/ } },
  ]);
});

t.test('a collector that never answers does not keep the service from closing', async (t) => {
  const { app } = await traced(
    t,
    await listening(
      t,
      createServer(() => undefined),
    ),
  );
  await app.inject('/healthz');
  await app.close();
});

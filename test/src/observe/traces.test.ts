import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { type Config, readConfig } from '../../../src/common/config.js';
import { deferred } from '../../../src/common/deferred.js';
import type { Engine } from '../../../src/engine/engine.js';
import type { App } from '../../../src/http/app-type.js';
import { tracesUrl } from '../../../src/observe/traces-url.js';
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

/** A collector that keeps what it is sent to a path. */
async function collector(t: Test, path = '/v1/traces'): Promise<{ endpoint: string; received: Collected[] }> {
  const received: Collected[] = [];
  const server = createServer(async (request, response) => {
    if (request.url !== path) return response.writeHead(404).end();
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
async function traced(t: Test, endpoint: string | Partial<Config>, change: Partial<Engine> = {}) {
  const settings = typeof endpoint === 'string' ? { otlpEndpoint: endpoint } : endpoint;
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
  const { app } = await appOn(t, { ...engine, ...change }, settings, log);
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
    'url.query': 'topK=3',
    'server.address': 'localhost',
    'server.port': 80,
    'client.address': '127.0.0.1',
    'network.protocol.version': '1.1',
    'user_agent.original': 'lightMyRequest',
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
  for (let i = 0; i < 512; i++) await app.inject('/version');
  while (warnings().length === 0) await sleep(5);
  await app.inject('/version');
  await app.close();
  t.equal(exports, 2);
  t.equal(warnings().length, 1);
  t.match(warnings()[0], { level: 40, err: { message: String } });
});

t.test('an endpoint that is no address of a collector is named', async (t) => {
  for (const url of ['collector:4318', 'ftp://collector', 'http://']) {
    await t.rejects(appOn(t, engine, { otlpEndpoint: url }), {
      name: 'SettingsError',
      message: /^OTEL_EXPORTER_OTLP_ENDPOINT is ".*expected/,
    });
    await t.rejects(appOn(t, engine, { otlpTracesEndpoint: url }), {
      name: 'SettingsError',
      message: /^OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is ".*expected/,
    });
  }
});

t.test('where traces go, by OpenTelemetry’s variables', (t) => {
  const url = (environment: Record<string, string>) => tracesUrl(readConfig({}, environment));
  const base = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://all:4318/base' };
  const own = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://traces/custom?a=1' };
  t.equal(url({}), undefined);
  t.equal(url(base), 'http://all:4318/base/v1/traces');
  t.equal(url(own), 'https://traces/custom?a=1');
  t.equal(url({ ...base, ...own }), 'https://traces/custom?a=1', 'the own endpoint of traces wins');
  t.equal(url({ OTEL_TRACES_EXPORTER: 'otlp' }), 'http://localhost:4318/v1/traces');
  t.equal(url({ ...base, OTEL_TRACES_EXPORTER: 'otlp' }), 'http://all:4318/base/v1/traces');
  t.equal(url({ ...base, ...own, OTEL_TRACES_EXPORTER: 'none' }), undefined);
  for (const word of ['true', 'TRUE', 'True']) t.equal(url({ ...base, OTEL_SDK_DISABLED: word }), undefined);
  t.equal(url({ ...base, OTEL_SDK_DISABLED: 'false' }), 'http://all:4318/base/v1/traces');
  t.throws(
    () => url({ OTEL_TRACES_EXPORTER: 'zipkin' }),
    /OTEL_TRACES_EXPORTER is "zipkin": expected one of otlp, none/,
  );
  t.throws(() => url({ OTEL_SDK_DISABLED: '1' }), /OTEL_SDK_DISABLED is "1": expected one of true, false/);
  t.end();
});

t.test('the own endpoint of traces is taken as it is', async (t) => {
  const { endpoint, received } = await collector(t, '/custom');
  const { app } = await traced(t, { otlpTracesEndpoint: `${endpoint}/custom` });
  await app.inject('/version');
  await app.close();
  t.match(spansOf(received), [{ name: 'GET /version' }]);
});

t.test('health checks and scrapes have no trace', async (t) => {
  const { endpoint, received } = await collector(t);
  const { app, lines } = await traced(t, endpoint);
  const polled = ['/healthz', '/readyz', '/metrics', '/v2/health/live', '/v2/health/ready'];
  polled.push('/v2/models/fashion-mnist/ready', '/v2/models/fashion-mnist/versions/1/ready');
  for (const url of polled) t.equal((await app.inject(url)).statusCode, 200, url);
  await app.inject('/models');
  await app.close();
  t.same(
    spansOf(received).map(({ name }) => name),
    ['GET /models'],
  );
  t.same(
    lines.map((line) => 'trace_id' in line),
    [...polled.map(() => false), true],
  );
});

t.test('a span says who asked, whom, and for what, and leaves out what nobody should read', async (t) => {
  const { endpoint, received } = await collector(t);
  const { app } = await traced(t, { otlpEndpoint: endpoint, trustProxy: 1 });
  const headers = { host: 'proxied:1', 'x-forwarded-host': '[2001:db8::1]:8443', 'x-forwarded-proto': 'https' };
  await app.inject({
    method: 'PROPFIND' as 'GET',
    url: '/models/a?model=b&key=hidden&hidden-too&=hidden',
    headers: { ...headers, 'x-forwarded-for': '192.0.2.7', 'user-agent': 'tester/1' },
  });
  await classify(app, { host: 'irevnet.example' });
  await app.inject({ method: 'POST', url: '/classify?model=none&secret=hidden&topK=1', headers });
  await app.close();
  const [other, ...rest] = spansOf(received).filter(({ kind }) => kind === SERVER);
  t.equal(other!.name, 'HTTP');
  t.match(attributesOf(other!), {
    'http.request.method': '_OTHER',
    'http.request.method_original': 'PROPFIND',
    'http.response.status_code': 405,
    'url.scheme': 'https',
    'url.path': '/models/a',
    'url.query': 'model=REDACTED&key=REDACTED&REDACTED&=REDACTED',
    'server.address': '2001:db8::1',
    'server.port': 8443,
    'client.address': '192.0.2.7',
    'user_agent.original': 'tester/1',
  });
  const [plain, wrong] = rest.map(attributesOf);
  t.equal(plain!['server.address'], 'irevnet.example');
  t.notOk('server.port' in plain!, 'the Host header has none');
  t.notOk('http.request.method_original' in plain!);
  t.equal(wrong!['url.query'], 'model=none&secret=REDACTED&topK=1');
  t.notMatch(JSON.stringify(received), /hidden/);
});

t.test('a client that goes is known all the same', async (t) => {
  const { endpoint, received } = await collector(t);
  const started = deferred<void>();
  const { app, lines } = await traced(t, endpoint, {
    run: () => {
      started.resolve();
      return new Promise(() => undefined);
    },
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const leaving = new AbortController();
  const gone = fetch(`${url}/classify`, { method: 'POST', body: new Uint8Array(png), signal: leaving.signal });
  await started.promise;
  leaving.abort();
  await t.rejects(gone);
  while (!lines.some(({ msg }) => msg === 'request')) await sleep(5);
  await app.close();
  t.match(attributesOf(spansOf(received).find(({ kind }) => kind === SERVER)!), {
    'http.response.status_code': 499,
    'client.address': '127.0.0.1',
  });
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
  await app.inject('/version');
  await app.close();
});

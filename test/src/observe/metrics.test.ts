import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import t from 'tap';
import { stages } from '../../../src/common/work.js';
import type { App } from '../../../src/http/app-type.js';
import { declared } from '../../../src/observe/declared.js';
import { parseGpus, watchGpus } from '../../../src/observe/gpu.js';
import { createMetrics } from '../../../src/observe/metrics.js';
import { appOn, form, raw, service } from '../../helpers/app.js';
import { parseExposition, seriesValue } from '../../helpers/exposition.js';
import { pngOf } from '../../helpers/images.js';
import { someImages } from '../../helpers/networks.js';

const { app: counted, engine } = await service(t, { workers: 1 });
const images = await someImages('test');
const png = await pngOf(images, 0);
const three = await form(...Array.from({ length: 3 }, () => ['file', png] as const));

const post = (app: App, url: string, upload: Awaited<ReturnType<typeof form>>) =>
  app.inject({ method: 'POST', url, ...upload });
const scrape = async (app: App) => parseExposition((await app.inject('/metrics')).payload);
const backend = { kind: 'cpu', devices: [''] } as const;
const idle = {
  started: true,
  ready: true,
  up: 1,
  workers: 1,
  waiting: 0,
  hung: 0,
  inside: 0,
  backend,
  models: { ready: 1, unavailable: 0 },
};

t.test('what was sent is what is counted', async (t) => {
  const app = counted;
  t.equal((await post(app, '/classify?topK=2', raw(png, 'image/png'))).statusCode, 200);
  t.equal((await post(app, '/encode', three)).statusCode, 200);
  t.equal((await post(app, '/classify', raw(Buffer.from('no image'), 'image/png'))).statusCode, 400);
  t.equal((await app.inject('/nowhere/private')).statusCode, 404);
  t.equal((await app.inject('/models/private')).statusCode, 404);
  const reply = await app.inject('/metrics');
  t.match(reply.headers, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
  t.notMatch(reply.payload, /private|topK/);
  const found = parseExposition(reply.payload);
  const requests = found.get('irevnet_requests_total')!.samples.map(({ labels, value }) => ({ ...labels, value }));
  t.same(requests, [
    { route: '/classify', method: 'POST', status: '200', value: 1 },
    { route: '/encode', method: 'POST', status: '200', value: 1 },
    { route: '/classify', method: 'POST', status: '400', value: 1 },
    { route: 'none', method: 'GET', status: '404', value: 1 },
    { route: '/models/:name', method: 'GET', status: '404', value: 1 },
  ]);
  t.equal(seriesValue(found, 'irevnet_request_seconds_count', { route: '/classify' }), 2);
  const staged = stages.map((stage) => seriesValue(found, 'irevnet_stage_seconds_count', { stage }));
  t.same(staged, [3, 3, 2, 2, 1], 'the bad image was read and decoded in vain; only /encode writes a file');
  const forward = { model: 'fashion-mnist', graph: 'forward' };
  t.equal(seriesValue(found, 'irevnet_batch_images_count', forward), 2);
  t.equal(seriesValue(found, 'irevnet_batch_images_sum', forward), 4);
  t.equal(seriesValue(found, 'irevnet_batch_images_bucket', { ...forward, le: '2' }), 1);
  t.equal(seriesValue(found, 'irevnet_batch_seconds_count', forward), 2);
  const rejected = found.get('irevnet_rejected_total')!.samples.filter(({ value }) => value > 0);
  t.same(Object.fromEntries(rejected.map(({ labels, value }) => [labels.code, value])), {
    'not-an-image': 1,
    'unknown-route': 1,
    'unknown-model': 1,
  });
  t.equal(seriesValue(found, 'irevnet_in_flight_requests'), 1, 'the scrape itself');
  t.equal(seriesValue(found, 'irevnet_in_flight_images'), 0);
  t.equal(seriesValue(found, 'irevnet_models', { state: 'ready' }), 2);
  t.equal(seriesValue(found, 'irevnet_models', { state: 'unavailable' }), 0);
});

t.test('refusals before and after the routes are counted', async (t) => {
  let draining = false;
  const { app } = await appOn(t, { ...engine, status: () => ({ ...engine.status(), draining }) });
  await app.inject('/%');
  await app.inject({ url: '/healthz', headers: { 'irevnet-timeout-ms': 'soon' } });
  t.equal(seriesValue(await scrape(app), 'irevnet_ready'), 1);
  draining = true;
  await app.inject('/readyz');
  const found = await scrape(app);
  for (const code of ['request-malformed', 'timeout-invalid', 'draining']) {
    t.equal(seriesValue(found, 'irevnet_rejected_total', { code }), 1, code);
  }
  t.equal(seriesValue(found, 'irevnet_ready'), 0);
});

t.test('every series is there, valid, and has the labels that it declares', async (t) => {
  await post(counted, '/encode', three);
  const found = await scrape(counted);
  for (const [name, { type, help, ...rest }] of Object.entries(declared)) {
    t.match(found.get(name), { type, help }, name);
    const labels = 'labels' in rest ? [...rest.labels] : [];
    for (const sample of found.get(name)!.samples) {
      t.same(
        Object.keys(sample.labels)
          .filter((label) => label !== 'le')
          .sort(),
        labels.sort(),
      );
    }
  }
  for (const [name, { samples, type }] of found) {
    if (type !== 'histogram') continue;
    const buckets = samples.filter((s) => s.name === `${name}_bucket`);
    for (const { labels, value } of samples.filter((s) => s.name === `${name}_count`)) {
      const own = buckets.filter((b) => Object.entries(labels).every(([label, v]) => b.labels[label] === v));
      t.ok(
        own.every((b, i) => i === 0 || b.value >= own[i - 1]!.value),
        `${name} is cumulative`,
      );
      t.match(own.at(-1), { labels: { le: '+Inf' }, value });
    }
  }
  t.match(found.get('irevnet_build_info')!.samples, [
    { labels: { version: /^\d/, node: process.version, onnxruntime: /^\d+\.\d+\.\d+/ }, value: 1 },
  ]);
  for (const name of ['process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds']) t.ok(found.has(name), name);
});

t.test('services in one process count apart', async (t) => {
  const [one, other] = [createMetrics(), createMetrics()];
  one.begun();
  one.over({ route: '/classify', method: 'POST', status: 200, code: undefined, ms: 1, stages: {} });
  one.observer.batch({ model: 'a', graph: 'forward', images: 1, ms: 1 });
  for (const [metrics, count] of [
    [one, 1],
    [other, undefined],
  ] as const) {
    const found = parseExposition(await metrics.text(idle));
    t.equal(seriesValue(found, 'irevnet_requests_total', { route: '/classify' }), count);
    t.equal(seriesValue(found, 'irevnet_batch_images_sum'), count);
  }
});

t.test('workers that are replaced are counted by why', async (t) => {
  const { observer, text } = createMetrics();
  observer.lost('hung');
  const found = parseExposition(await text({ ...idle, up: 1, workers: 3, hung: 1 }));
  t.equal(seriesValue(found, 'irevnet_worker_restarts_total', { reason: 'hung' }), 1);
  t.equal(seriesValue(found, 'irevnet_worker_restarts_total'), 1);
  const states = ['up', 'down', 'hung'].map((state) => seriesValue(found, 'irevnet_workers', { state }));
  t.same(states, [1, 2, 1]);
});

t.test('a client that leaves is counted, and no longer in flight', async (t) => {
  const { app } = await appOn(t, engine, { maxSteps: 4096, maxQueue: 8192 });
  const address = await app.listen({ port: 0 });
  const { headers, payload } = await form(['a', png], ['b', png]);
  const leaving = new AbortController();
  const body = new Uint8Array(payload);
  const long = fetch(`${address}/interpolate?steps=4096`, { method: 'POST', headers, body, signal: leaving.signal });
  while (seriesValue(await scrape(app), 'irevnet_in_flight_images') === 0) await sleep(5);
  const during = await scrape(app);
  t.equal(seriesValue(during, 'irevnet_in_flight_images'), 4098);
  t.equal(seriesValue(during, 'irevnet_in_flight_requests'), 2);
  leaving.abort();
  await t.rejects(long);
  const gone = { route: '/interpolate', status: '499' };
  while (seriesValue(await scrape(app), 'irevnet_requests_total', gone) === undefined) await sleep(5);
  t.equal(seriesValue(await scrape(app), 'irevnet_in_flight_requests'), 1);
});

/** Names and milliseconds of a Server-Timing header. */
const timing = (header: unknown): [string, number][] =>
  String(header)
    .split(', ')
    .map((entry) => {
      const [, name, ms] = /^([a-z]+);dur=(\d+(?:\.\d{1,2})?)$/.exec(entry) ?? [];
      return [name!, Number(ms)];
    });

t.test('each reply and its log line say where the time went', async (t) => {
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
  const { app } = await appOn(t, engine, {}, log);
  const pair = await form(['a', png], ['b', png]);
  const features = raw((await post(app, '/encode', raw(png, 'image/png'))).rawPayload);
  const replies = [
    await post(app, '/encode', three),
    await post(app, '/interpolate', pair),
    await post(app, '/decode?format=json', features),
    await post(app, '/classify', raw(png, 'image/png')),
    await post(app, '/classify', raw(Buffer.from('no image'), 'image/png')),
    await app.inject('/healthz'),
  ];
  const names = replies.map(({ headers }) => timing(headers['server-timing']).map(([name]) => name));
  t.same(names, [
    ['read', 'decode', 'queue', 'inference', 'encode', 'total'],
    ['read', 'decode', 'queue', 'inference', 'encode', 'total'],
    ['read', 'decode', 'queue', 'inference', 'encode', 'total'],
    ['read', 'decode', 'queue', 'inference', 'total'],
    ['read', 'decode', 'total'],
    ['total'],
  ]);
  const logged = lines.filter(({ msg }) => msg === 'request').slice(1);
  for (const [i, { headers, statusCode }] of replies.entries()) {
    const { total, ...parts } = Object.fromEntries(timing(headers['server-timing']));
    const sum = Object.values(parts).reduce((a, b) => a + b, 0);
    t.ok(sum <= total! + 0.05, `${sum} of ${total} ms`);
    const { stages, ms, status } = logged[i]!;
    t.same(stages, statusCode === 200 && i === 5 ? undefined : parts);
    t.ok(Number(ms) >= total! - 0.1 && status === statusCode, `${ms} ms in all`);
  }
});

t.test('GPUs are read from nvidia-smi where it is, and seldom', async (t) => {
  t.same(parseGpus('0, 35, 1024, 81559\n1, [N/A], 0, 81559\r\n\n'), [
    { index: '0', utilization: 0.35, used: 2 ** 30, total: 81559 * 2 ** 20 },
    { index: '1', utilization: undefined, used: 0, total: 81559 * 2 ** 20 },
  ]);
  t.same(parseGpus(''), []);
  const folder = t.testdir();
  const [command, calls] = [join(folder, 'nvidia-smi'), join(folder, 'calls')];
  await writeFile(command, `#!/bin/sh\necho "$@" >> '${calls}'\necho '0, 35, 1024, 81559'\necho '1, [N/A], 7, 8'\n`);
  await chmod(command, 0o755);
  const metrics = createMetrics(watchGpus(command));
  await metrics.text(idle);
  const found = parseExposition(await metrics.text(idle));
  t.same(
    found.get('irevnet_gpu_utilization_ratio')!.samples.map(({ labels, value }) => [labels.gpu, value]),
    [['0', 0.35]],
  );
  t.equal(seriesValue(found, 'irevnet_gpu_memory_used_bytes', { gpu: '1' }), 7 * 2 ** 20);
  t.equal(seriesValue(found, 'irevnet_gpu_memory_total_bytes', { gpu: '0' }), 81559 * 2 ** 20);
  t.equal(
    await readFile(calls, 'utf8'),
    '--query-gpu=index,utilization.gpu,memory.used,memory.total --format=csv,noheader,nounits\n',
  );
  const none = parseExposition(await createMetrics(watchGpus(join(folder, 'missing'))).text(idle));
  t.same(none.get('irevnet_gpu_memory_used_bytes')!.samples, []);
});

import { setTimeout as sleep } from 'node:timers/promises';
import { writeNpy } from '../export/formats/npy.js';
import { sizeOf, tensor } from '../export/graph/tensor.js';
import { closedLoop } from './load.js';
import { post } from './requests.js';
import { startServer } from './server.js';
import { quantile, rounded, timed } from './statistics.js';
import type { Choice } from './subjects.js';

/** Features in a request. */
const IMAGES = 256;
const PAUSE_MS = 5;

/** Latency of `GET /healthz` while the service decodes large batches, and while it is idle. */
export async function* health({ seconds = 5 }: Choice): AsyncGenerator<object> {
  await using server = await startServer();
  const { features } = (await (await fetch(`${server.base}/models/fashion-mnist`)).json()) as {
    features: { shape: number[] };
  };
  const dims = [IMAGES, ...features.shape];
  const npy = Buffer.concat(writeNpy(tensor('float32', dims, new Float32Array(sizeOf(dims)).fill(0.5))));
  const request = post('/decode?format=npy', 'application/octet-stream', npy);

  const loading = closedLoop(server.base, [request], { clients: 1, seconds });
  const busy = await probes(server.base, seconds + 1);
  const { answers } = await loading;
  if (!answers.every(({ status }) => status === '200')) throw new Error('a decode failed');
  const idle = await probes(server.base, seconds);
  yield { probes: busy.length, busy: percentiles(busy), idle: percentiles(idle) };
}

/** The latencies of `GET /healthz`, one after the other for this many seconds. */
async function probes(base: string, seconds: number): Promise<number[]> {
  const ms: number[] = [];
  for (const end = performance.now() + 1000 * seconds; performance.now() < end; await sleep(PAUSE_MS)) {
    ms.push(await timed(async () => (await fetch(`${base}/healthz`)).arrayBuffer()));
  }
  return ms;
}

const percentiles = (ms: readonly number[]) => ({
  p50Ms: rounded(quantile(ms, 0.5)),
  p99Ms: rounded(quantile(ms, 0.99)),
});

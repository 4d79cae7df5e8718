import { setTimeout as sleep } from 'node:timers/promises';
import { writeNpy } from '../export/formats/npy.js';
import { sizeOf, tensor } from '../export/graph/tensor.js';
import { type Server, startServer, withServer } from './server.js';
import { quantile, rounded, timed } from './statistics.js';

/** Features in a request, and requests one after another. */
const IMAGES = 256;
const BATCHES = 16;
const PAUSE_MS = 5;

/** Latency of `GET /healthz` while the service decodes large batches, against its latency when idle. */
export const health = (): AsyncGenerator<object> => withServer(startServer(), compare);

async function* compare({ base }: Server): AsyncGenerator<object> {
  const { features } = (await (await fetch(`${base}/models/fashion-mnist`)).json()) as {
    features: { shape: number[] };
  };
  const dims = [IMAGES, ...features.shape];
  const body = Buffer.concat(writeNpy(tensor('float32', dims, new Float32Array(sizeOf(dims)).fill(0.5))));
  let running = true;
  const load = decodeAll(base, body).finally(() => {
    running = false;
  });
  load.catch(() => undefined);
  const busy: number[] = [];
  while (running) {
    busy.push(await timed(async () => (await fetch(`${base}/healthz`)).arrayBuffer()));
    await sleep(PAUSE_MS);
  }
  await load;
  const idle: number[] = [];
  for (let i = 0; i < busy.length; i++)
    idle.push(await timed(async () => (await fetch(`${base}/healthz`)).arrayBuffer()));
  yield { probes: busy.length, busy: summary(busy), idle: summary(idle) };
}

async function decodeAll(base: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
  const headers = { 'content-type': 'application/octet-stream' };
  for (let i = 0; i < BATCHES; i++) {
    const reply = await fetch(`${base}/decode?format=npy`, { method: 'POST', body, headers });
    if (!reply.ok) throw new Error(await reply.text());
    await reply.arrayBuffer();
  }
}

const summary = (ms: readonly number[]) => ({ p50Ms: rounded(quantile(ms, 0.5)), p99Ms: rounded(quantile(ms, 0.99)) });

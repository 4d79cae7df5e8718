import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { packagePath } from '../export/package.js';
import { sizeOf, tensor } from '../export/tensor.js';
import { writeNpy } from '../src/tensor/npy.js';
import { quantile, rounded, timed } from './statistics.js';

/** Features in a request, and requests one after another. */
const IMAGES = 256;
const BATCHES = 16;
const PAUSE_MS = 5;

/** Latency of `GET /healthz` while the service decodes large batches, against its latency when idle. */
export async function* health(): AsyncGenerator<object> {
  const port = await freePort();
  const server = spawn(process.execPath, [packagePath('dist', 'src', 'cli.js'), 'serve', '--port', String(port)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const base = `http://127.0.0.1:${port}`;
  try {
    while (!(await fetch(`${base}/readyz`).catch(() => undefined))?.ok) await sleep(50);
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
  } finally {
    server.kill('SIGTERM');
    await once(server, 'exit');
  }
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

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { closedLoop, goodput, openLoop, statusesOf } from './load.js';
import { type Server, startServer, withServer } from './server.js';
import type { SlowClients } from './slow-clients-worker.js';
import { median, quantile, rounded } from './statistics.js';
import { type Choice, eachSubject, type Subject } from './subjects.js';

const SLOW = 500;
const ROUNDS = 7;
const SECONDS = 8;
/** The share of the sustainable rate at which the others send. */
const SHARE = 0.5;
const CAP = 256;
/** Latency of requests while hundreds of clients send a byte a second, over latency without them, in turns. */
export const slowClients = ({ seconds = SECONDS }: Choice): AsyncGenerator<object> =>
  eachSubject({}, ['fashion-mnist'], (subject) =>
    withServer(startServer(subject.flags), (server) => measure(subject, server, seconds)),
  );

async function* measure({ requests }: Subject, { base, port }: Server, seconds: number): AsyncGenerator<object> {
  const rate = SHARE * goodput(await closedLoop(base, requests, { clients: 8, seconds }));
  const statuses: Record<string, number>[] = [];
  const p99 = async () => {
    const { latencies } = await openLoop(base, requests, { rate, cap: CAP, seconds });
    statuses.push(statusesOf(latencies));
    return quantile(Object.values(latencies).flat(), 0.99);
  };
  const [alone, among]: number[][] = [[], []];
  let replaced = 0;
  for (let round = 0; round < ROUNDS; round++) {
    alone!.push(await p99());
    const slow = startSlow(port);
    // Until all of them are connected and send.
    await sleep(2000);
    among!.push(await p99());
    replaced += await slow.stop();
    await sleep(1000);
  }
  yield {
    requestsPerSecond: rounded(rate),
    slowClients: SLOW,
    replaced,
    p99Ms: { alone: alone!.map(rounded), among: among!.map(rounded) },
    ratioOfMedians: rounded(median(among!) / median(alone!)),
    medianOfRatios: rounded(median(among!.map((ms, i) => ms / alone![i]!))),
    statuses: { alone: statuses.filter((_, i) => i % 2 === 0), among: statuses.filter((_, i) => i % 2 === 1) },
  };
}

/** Clients that send a byte a second each, in a thread of their own, so that they take nothing from the others here. */
function startSlow(port: number) {
  const worker = new Worker(new URL('./slow-clients-worker.js', import.meta.url), {
    workerData: { port, count: SLOW } satisfies SlowClients,
  });
  return {
    /** Tells how many of them the service gave up, and were replaced. */
    async stop(): Promise<number> {
      worker.postMessage('stop');
      const [replaced] = (await once(worker, 'message')) as [number];
      return replaced;
    },
  };
}

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { seeded } from '../export/random.js';
import { closedLoop, goodput, joined, type Load, openLoop, statusesOf } from './load.js';
import { type Server, startServer, withServer } from './server.js';
import type { SlowClients } from './slow-clients-worker.js';
import { quantile, readable, rounded } from './statistics.js';
import { type Choice, eachSubject, type Subject } from './subjects.js';

const SLOW = 500;
/** Pairs of measurements, one alone and one among the slow clients, in turns which of them is first. */
const PAIRS = 16;
const SECONDS = 6;
/** The share of the sustainable rate at which the others send. */
const SHARE = 0.5;
const CAP = 256;
/** Draws of pairs from which the interval is taken. */
const DRAWS = 2000;

/**
 * Latency of requests while hundreds of clients send a byte a second, over latency without them. The 99th percentile is that
 * of all requests of a kind together, which single measurements tell too roughly; the interval holds it in 95 of 100 cases
 * (bootstrap over pairs).
 */
export const slowClients = ({ seconds = SECONDS }: Choice): AsyncGenerator<object> =>
  eachSubject({}, ['fashion-mnist'], (subject) =>
    withServer(startServer(subject.flags), (server) => measure(subject, server, seconds)),
  );

async function* measure({ requests }: Subject, { base, port }: Server, seconds: number): AsyncGenerator<object> {
  const rate = SHARE * goodput(await closedLoop(base, requests, { clients: 8, seconds }));
  let replaced = 0;
  const kinds = {
    alone: async () => openLoop(base, requests, { rate, cap: CAP, seconds }),
    among: async () => {
      const slow = startSlow(port);
      // Until all of them are connected and send.
      await sleep(2000);
      const load = await openLoop(base, requests, { rate, cap: CAP, seconds });
      replaced += await slow.stop();
      await sleep(1000);
      return load;
    },
  };
  const loads: Record<keyof typeof kinds, Load[]> = { alone: [], among: [] };
  for (let pair = 0; pair < PAIRS; pair++) {
    for (const kind of pair % 2 === 0 ? (['alone', 'among'] as const) : (['among', 'alone'] as const)) {
      loads[kind].push(await kinds[kind]());
    }
  }
  const [alone, among] = [loads.alone, loads.among].map((list) => list.map(msOf)) as [number[][], number[][]];
  const ratioOf = (pairs: readonly number[]) => p99(pairs.map((i) => among[i]!)) / p99(pairs.map((i) => alone[i]!));
  const random = seeded(1);
  const every = Array.from({ length: PAIRS }, (_, i) => i);
  const drawn = Array.from({ length: DRAWS }, () => ratioOf(every.map(() => Math.floor(random() * PAIRS))));
  yield {
    requestsPerSecond: rounded(rate),
    slowClients: SLOW,
    replaced,
    pairs: PAIRS,
    ...readable({ p99MsAlone: p99(alone), p99MsAmong: p99(among), ratio: ratioOf(every) }),
    interval: [quantile(drawn, 0.025), quantile(drawn, 0.975)].map(rounded),
    p99MsOfEach: { alone: alone.map((ms) => rounded(p99([ms]))), among: among.map((ms) => rounded(p99([ms]))) },
    statuses: { alone: statusesOf(joined(loads.alone).latencies), among: statusesOf(joined(loads.among).latencies) },
  };
}

const msOf = ({ latencies }: Load): number[] => Object.values(latencies).flat();
const p99 = (measured: readonly (readonly number[])[]): number => quantile(measured.flat(), 0.99);

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

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { seeded } from '../export/data/random.js';
import { packagePath } from '../export/files/package.js';
import { setGrowth } from '../src/common/heap.js';
import { closedLoop, goodput, joined, type Load, openLoop, statusesOf } from './load.js';
import { type Server, startServer, withServer } from './server.js';
import type { Slow } from './slow-clients-process.js';
import { mean, quantile, rounded } from './statistics.js';
import { type Choice, eachSubject, type Subject } from './subjects.js';

const SLOW = 500;
/**
 * Rounds, in every other of which the slow clients come first, after one that is not counted: a service is slower when young.
 * They are many and short, since a machine may be faster in one minute than in the next.
 */
const ROUNDS = 40;
const SECONDS = 5;
/** The share of the sustainable rate at which the others send. */
const SHARE = 0.5;
const CAP = 256;
/** Milliseconds until all slow clients are connected, and from when they have gone. */
const CONNECTED = 2000;
const GONE = 1000;
/** Draws of rounds from which an interval is taken. */
const DRAWS = 2000;
/** How far the heap of this process may grow, in percent. */
const GROWTH = 1000;

const kinds = ['alone', 'arriving', 'staying'] as const;
type Kind = (typeof kinds)[number];

/**
 * Latency of requests while hundreds of clients send a byte a second, over latency without them: just after they have come,
 * when the service has new connections to find a place for, and later. The 99th percentile is that of all requests of a kind
 * together, which single measurements tell too roughly; the interval holds it in 95 of 100 cases (bootstrap over rounds).
 * The slow clients are a process of their own, and this one hardly ever collects all its garbage: a tail of one in a hundred
 * would tell of them else.
 */
export const slowClients = ({ seconds = SECONDS }: Choice): AsyncGenerator<object> =>
  eachSubject({}, ['fashion-mnist'], (subject) =>
    withServer(startServer(subject.flags), (server) => measure(subject, server, seconds)),
  );

async function* measure({ requests }: Subject, { base, port }: Server, seconds: number): AsyncGenerator<object> {
  setGrowth(GROWTH);
  const rate = SHARE * goodput(await closedLoop(base, requests, { clients: 8, seconds }));
  const loads: Record<Kind, Load[]> = { alone: [], arriving: [], staying: [] };
  const slow: Slow[] = [];
  const load = async (kind: Kind) => {
    loads[kind].push(await openLoop(base, requests, { rate, cap: CAP, seconds }));
  };
  const among = async () => {
    const stop = startSlow(port);
    await sleep(CONNECTED);
    await load('arriving');
    await load('staying');
    slow.push(await stop());
    await sleep(GONE);
  };
  for (let round = 0; round <= ROUNDS; round++) {
    if (round % 2 === 0) await load('alone');
    await among();
    if (round % 2 === 1) await load('alone');
    if (round === 0) for (const kind of kinds) loads[kind] = [];
  }
  const ms = Object.fromEntries(kinds.map((kind) => [kind, loads[kind].map(msOf)])) as Record<Kind, number[][]>;
  yield {
    requestsPerSecond: rounded(rate),
    slowClients: SLOW,
    replaced: slow.reduce((sum, { replaced }) => sum + replaced, 0),
    bytesPerSecond: rounded(mean(slow.map(({ bytesPerSecond }) => bytesPerSecond))),
    rounds: ROUNDS,
    p99MsAlone: rounded(p99(ms.alone)),
    ...Object.fromEntries((['arriving', 'staying'] as const).map((kind) => [kind, compared(ms.alone, ms[kind])])),
    statuses: statusesOf(joined(Object.values(loads).flat()).latencies),
  };
}

/** The 99th percentile among slow clients, and its ratio to that alone. */
function compared(alone: readonly number[][], among: readonly number[][]) {
  const ratioOf = (rounds: readonly number[]) => p99(rounds.map((i) => among[i]!)) / p99(rounds.map((i) => alone[i]!));
  const random = seeded(1);
  const every = alone.map((_, i) => i);
  const drawn = Array.from({ length: DRAWS }, () => ratioOf(every.map(() => Math.floor(random() * every.length))));
  return {
    p99Ms: rounded(p99(among)),
    ratio: rounded(ratioOf(every)),
    interval: [quantile(drawn, 0.025), quantile(drawn, 0.975)].map(rounded),
  };
}

const msOf = ({ latencies }: Load): number[] => Object.values(latencies).flat();
const p99 = (measured: readonly (readonly number[])[]): number => quantile(measured.flat(), 0.99);

/** Starts clients that send a byte a second each; what comes back ends them. */
function startSlow(port: number): () => Promise<Slow> {
  const child = fork(packagePath('dist', 'bench', 'slow-clients-process.js'), [`${port}`, `${SLOW}`]);
  return async () => {
    child.send('stop');
    const [[slow]] = (await Promise.all([once(child, 'message'), once(child, 'exit')])) as [[Slow], unknown];
    return slow;
  };
}

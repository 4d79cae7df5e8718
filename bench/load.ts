import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises';
import { openConnections, type Reply } from './connections.js';
import { latency, mean, quantile, readable, rounded } from './statistics.js';

/** Something to send, the same bytes every time. */
export interface Request {
  readonly method?: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export interface Answer extends Reply {
  /** By `performance.now()`: when the request was due, and when the last byte of the answer was there. */
  readonly due: number;
  readonly end: number;
}

/** What came of a load. */
export interface Load {
  readonly seconds: number;
  /** Milliseconds of every answer, by its status. */
  readonly latencies: Readonly<Record<string, readonly number[]>>;
  /** Mean milliseconds of each stage, as far as answers tell. */
  readonly stages: Readonly<Record<string, number>>;
  /** Cores that this process, which sends the load, took away from the service. */
  readonly generatorCores: number;
}

interface Options {
  readonly seconds: number;
  /** Seconds before, whose answers are not counted. */
  readonly warmUp?: number;
  /** Told every answer, also those that are not counted. */
  readonly onAnswer?: (answer: Answer) => void;
}

const WARM_UP = 1;

/** Clients that each send the next request when the last is answered, in turn through the list. */
export async function closedLoop(
  base: string,
  requests: readonly Request[],
  { clients, seconds, warmUp = WARM_UP, onAnswer }: Options & { readonly clients: number },
): Promise<Load> {
  const connections = openConnections(base);
  const bytesOf = writer(base);
  const begin = performance.now() + warmUp * 1000;
  const end = begin + seconds * 1000;
  const tally = createTally();
  let next = 0;
  const client = async () => {
    while (performance.now() < end) {
      const due = performance.now();
      const reply = await connections.exchange(bytesOf(requests[next++ % requests.length]!));
      const answer = { ...reply, due, end: performance.now() };
      onAnswer?.(answer);
      if (answer.end >= begin && answer.end < end) tally.add(answer);
      // Whoever is refused a connection does not try again at once.
      if (!isAnswered(answer)) await sleep(10);
    }
  };
  const running = Promise.all(Array.from({ length: clients }, client));
  await sleep(warmUp * 1000);
  const cores = coresFromNow();
  await sleep(seconds * 1000);
  const generatorCores = cores();
  await running;
  connections.close();
  return { seconds, ...tally.result(), generatorCores };
}

export interface OpenLoad extends Load {
  /** Requests a second that were sent. */
  readonly offered: number;
  /** Requests that were not sent when they were due, since as many as may be were under way. */
  readonly skipped: number;
  /** Milliseconds by which 99 of 100 requests were sent late at most, for want of a free core. */
  readonly lateMs: number;
}

/**
 * Requests that are due at fixed times, whatever becomes of those before. Latency counts from when a request was due, so
 * that a service which stands still does not spare itself the requests of that time.
 * @param cap requests under way at most, each on a connection of its own; what is due beyond is skipped
 */
export async function openLoop(
  base: string,
  requests: readonly Request[],
  { rate, cap, seconds, warmUp = WARM_UP, onAnswer }: Options & { readonly rate: number; readonly cap: number },
): Promise<OpenLoad> {
  const connections = openConnections(base);
  const bytesOf = writer(base);
  const start = performance.now();
  const begin = start + warmUp * 1000;
  const end = begin + seconds * 1000;
  const tally = createTally();
  const under = new Set<Promise<void>>();
  const late: number[] = [];
  let [sent, skipped, cores] = [0, 0, coresFromNow()];
  const offer = (request: Request, due: number) => {
    const counts = due >= begin;
    if (under.size >= cap) {
      skipped += Number(counts);
      return;
    }
    sent += Number(counts);
    if (counts) late.push(performance.now() - due);
    const task = connections.exchange(bytesOf(request)).then((reply) => {
      const answer = { ...reply, due, end: performance.now() };
      under.delete(task);
      onAnswer?.(answer);
      if (counts) tally.add(answer);
    });
    under.add(task);
  };
  for (let i = 0; ; i++) {
    const due = start + (i / rate) * 1000;
    if (due >= end) break;
    if (due >= begin && due - 1000 / rate < begin) cores = coresFromNow();
    const pause = due - performance.now();
    if (pause > 0) await sleep(pause);
    // Answers must be read also where requests are due without a pause.
    else if (i % 8 === 0) await immediate();
    offer(requests[i % requests.length]!, due);
  }
  const generatorCores = cores();
  await Promise.all(under);
  connections.close();
  const lateMs = late.length > 0 ? quantile(late, 0.99) : 0;
  return { seconds, ...tally.result(), generatorCores, offered: sent / seconds, skipped, lateMs };
}

/** A load in few numbers: requests answered a second, how many by status, latencies in milliseconds, stages. */
export function summary({ seconds, latencies, stages, generatorCores }: Load) {
  const all = Object.values(latencies).flat();
  const total = stages.total ?? Number.NaN;
  const shares = Object.entries(stages).filter(([name]) => name !== 'total');
  return {
    requestsPerSecond: rounded(all.length / seconds),
    statuses: statusesOf(latencies),
    ...(all.length > 0 && latency(all)),
    ...(total > 0 && {
      stagesMs: readable(stages),
      shareOfTime: readable(Object.fromEntries(shares.map(([name, ms]) => [name, ms / total]))),
    }),
    generatorCores: rounded(generatorCores),
  };
}

/** Several loads as one. */
export function joined(loads: readonly Load[]): Load {
  const latencies: Record<string, number[]> = {};
  for (const load of loads) {
    for (const [status, ms] of Object.entries(load.latencies))
      latencies[status] = [...(latencies[status] ?? []), ...ms];
  }
  const stages = Object.keys(loads[0]!.stages).map((name) => [name, mean(loads.map((load) => load.stages[name] ?? 0))]);
  return {
    seconds: loads.reduce((sum, { seconds }) => sum + seconds, 0),
    latencies,
    stages: Object.fromEntries(stages),
    generatorCores: mean(loads.map(({ generatorCores }) => generatorCores)),
  };
}

export const statusesOf = (latencies: Load['latencies']): Record<string, number> =>
  Object.fromEntries(Object.entries(latencies).map(([status, { length }]) => [status, length]));

/** Answers a second that were good. */
export const goodput = ({ latencies, seconds }: Load): number => (latencies['200']?.length ?? 0) / seconds;

export const isAnswered = ({ status }: Answer): boolean => /^\d+$/.test(status);

/** Puts requests together as they go over the wire, each once. */
function writer(base: string): (request: Request) => Buffer {
  const written = new Map<Request, Buffer>();
  return (request) => {
    const known = written.get(request);
    if (known) return known;
    const { method = 'POST', path, headers = {}, body = new Uint8Array() } = request;
    const lines = Object.entries({ host: new URL(base).host, ...headers, 'content-length': body.length });
    const head = [`${method} ${path} HTTP/1.1`, ...lines.map(([name, value]) => `${name}: ${value}`)];
    const bytes = Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]);
    written.set(request, bytes);
    return bytes;
  };
}

function createTally() {
  const latencies: Record<string, number[]> = {};
  const stages: Record<string, { sum: number; count: number }> = {};
  return {
    add({ status, due, end, timing }: Answer) {
      latencies[status] ??= [];
      latencies[status].push(end - due);
      for (const [, name, ms] of timing?.matchAll(/([\w-]+);dur=([\d.]+)/g) ?? []) {
        const { sum, count } = stages[name!] ?? { sum: 0, count: 0 };
        stages[name!] = { sum: sum + Number(ms), count: count + 1 };
      }
    },
    result() {
      const means = Object.entries(stages).map(([name, { sum, count }]) => [name, sum / count]);
      return { latencies, stages: Object.fromEntries(means) as Record<string, number> };
    },
  };
}

/** Starts to count; what comes back tells how many cores this process has kept busy since. */
function coresFromNow(): () => number {
  const [used, start] = [process.cpuUsage(), performance.now()];
  return () => {
    const { user, system } = process.cpuUsage(used);
    return (user + system) / 1000 / (performance.now() - start);
  };
}

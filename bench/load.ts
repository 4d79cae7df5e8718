import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Request } from './requests.js';
import { mean, quantile, readable, rounded } from './statistics.js';

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/**
 * Sends a request and reads the whole answer.
 * @param options a body that comes in pieces; a signal to close the connection
 * @throws Error when the connection is lost or closed before
 */
export async function ask(
  pool: Pool,
  { method = 'POST', path, headers = {}, body }: Request,
  options: { readonly body?: Readable; readonly signal?: AbortSignal } = {},
): Promise<Reply> {
  const reply = await pool.request({ method, path, headers, body: body ?? null, ...options });
  return { status: reply.statusCode, headers: reply.headers, body: Buffer.from(await reply.body.arrayBuffer()) };
}

/** What became of a request. */
export interface Answer {
  /** The HTTP status, or the code of the error where no answer came. */
  readonly status: string;
  /** Milliseconds on the clock of `performance.now()`. */
  readonly start: number;
  readonly end: number;
  /** The header Server-Timing. */
  readonly timing: string;
}

export const isAnswered = ({ status }: Answer): boolean => /^\d+$/.test(status);

export interface Load {
  /** The measured time, after the warm-up: milliseconds on the clock of `performance.now()`. */
  readonly from: number;
  readonly to: number;
  /** Every answer, also those before and after the measured time. */
  readonly answers: readonly Answer[];
}

/**
 * Clients that each send the next request of the list when their last one is answered.
 * @param seconds measured time
 * @param warmUp seconds before
 */
export async function closedLoop(
  base: string,
  requests: readonly Request[],
  { clients, seconds, warmUp = 1 }: { readonly clients: number; readonly seconds: number; readonly warmUp?: number },
): Promise<Load> {
  const pool = new Pool(base, { connections: clients });
  const from = performance.now() + 1000 * warmUp;
  const to = from + 1000 * seconds;
  const answers: Answer[] = [];
  let next = 0;
  const client = async () => {
    while (performance.now() < to) {
      const start = performance.now();
      const { status, timing } = await ask(pool, requests[next++ % requests.length]!).then(
        (reply) => ({ status: `${reply.status}`, timing: `${reply.headers['server-timing'] ?? ''}` }),
        ({ code, message }: NodeJS.ErrnoException) => ({ status: code ?? message, timing: '' }),
      );
      const answer = { status, start, end: performance.now(), timing };
      answers.push(answer);
      // A server that cannot be reached is not asked again at once.
      if (!isAnswered(answer)) await sleep(10);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  await pool.destroy();
  return { from, to, answers };
}

const measured = ({ from, to, answers }: Load): Answer[] => answers.filter(({ end }) => end >= from && end < to);

/** Answers with status 200 a second. */
export const goodput = (load: Load): number =>
  (1000 * measured(load).filter(({ status }) => status === '200').length) / (load.to - load.from);

/** The number of answers by status. */
export function statusesOf(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** Loads of one kind in few numbers: answers a second, their statuses, latencies, mean time of each stage in the service. */
export function summary(...loads: readonly Load[]) {
  const answers = loads.flatMap(measured);
  const ms = answers.map(({ start, end }) => end - start);
  const [p50Ms, p95Ms, p99Ms, maxMs] = [0.5, 0.95, 0.99, 1].map((share) => quantile(ms, share));
  return {
    requestsPerSecond: rounded(answers.length / loads.reduce((sum, { from, to }) => sum + (to - from) / 1000, 0)),
    statuses: statusesOf(answers),
    ...(ms.length > 0 && readable({ p50Ms: p50Ms!, p95Ms: p95Ms!, p99Ms: p99Ms!, maxMs: maxMs! })),
    stagesMs: stagesOf(answers),
  };
}

function stagesOf(answers: readonly Answer[]): Record<string, number> {
  const stages: Record<string, number[]> = {};
  for (const { timing } of answers) {
    for (const [, name, ms] of timing.matchAll(/([\w-]+);dur=([\d.]+)/g)) {
      stages[name!] ??= [];
      stages[name!]!.push(Number(ms));
    }
  }
  return Object.fromEntries(Object.entries(stages).map(([name, ms]) => [name, rounded(mean(ms))]));
}

import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { Tensor } from '../export/graph/tensor.js';
import { openSession, type Session } from '../export/runtime/session.js';

// A worker thread of throughput.ts with sessions of its own: a running session blocks its JavaScript thread, so two can
// only run at the same time in two threads.

export interface WorkerSettings {
  /** Holds the graphs, as `<name>.onnx`. */
  readonly folder: string;
  /** Of each session. */
  readonly threads: number;
}

/** Run a graph so many times on the same inputs. */
export interface Order {
  readonly graph: string;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly fetch: readonly string[];
  readonly runs: number;
}

/** What the last run gave, and when the first began and the last ended, in nanoseconds on a clock that threads share. */
export interface Outcome {
  readonly outputs: Record<string, Tensor>;
  readonly begun: bigint;
  readonly ended: bigint;
}

export type Message = Order | 'stop';

const { folder, threads } = workerData as WorkerSettings;
const sessions = new Map<string, Session>();

/** Loads a graph when it is first asked for. */
async function sessionOf(graph: string): Promise<Session> {
  const session = sessions.get(graph) ?? (await openSession(join(folder, `${graph}.onnx`), { threads }));
  sessions.set(graph, session);
  return session;
}

async function run({ graph, feeds, fetch, runs }: Order): Promise<Outcome> {
  const session = await sessionOf(graph);
  let outputs: Record<string, Tensor> = {};
  const begun = process.hrtime.bigint();
  for (let i = 0; i < runs; i++) outputs = await session.run(feeds, fetch);
  return { outputs, begun, ended: process.hrtime.bigint() };
}

async function stop(): Promise<void> {
  for (const session of sessions.values()) await session.release();
  parentPort!.close();
}

parentPort!.on('message', async (message: Message) =>
  message === 'stop' ? stop() : parentPort!.postMessage(await run(message)),
);

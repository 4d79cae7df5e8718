import { once } from 'node:events';
import { join } from 'node:path';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { Tensor } from '../export/graph/tensor.js';
import { openSession, type Session } from '../export/runtime/session.js';

// Threads with sessions of ONNX Runtime. A running session blocks its JavaScript thread, so sessions run at the same time
// only in different threads. This file is the library and, in each thread, the program.

interface Settings {
  /** Holds the graphs, as `<name>.onnx`. */
  readonly folder: string;
  /** Threads of each session. */
  readonly threads: number;
}

/** A graph, its inputs and how often to run it on them. */
export interface Order {
  readonly graph: string;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly fetch: readonly string[];
  readonly runs: number;
}

/** The outputs of the last run; when the first began and the last ended, in nanoseconds on the clock of all threads. */
interface Outcome {
  readonly outputs: Record<string, Tensor>;
  readonly begun: bigint;
  readonly ended: bigint;
}

/** A thread that runs graphs of one folder; each is loaded when it is first asked for. */
export interface SessionThread extends AsyncDisposable {
  run(order: Order): Promise<Outcome>;
}

export function openThread(settings: Settings): SessionThread {
  const thread = new Worker(new URL(import.meta.url), { workerData: settings });
  return {
    async run(order) {
      thread.postMessage(order);
      const [outcome] = await once(thread, 'message');
      return outcome as Outcome;
    },
    async [Symbol.asyncDispose]() {
      thread.postMessage('stop');
      await once(thread, 'exit');
    },
  };
}

/** Runs a second of all threads together, from the start of the first run to the end of the last. */
export async function runsPerSecond(threads: readonly SessionThread[], order: Order): Promise<number> {
  const outcomes = await Promise.all(threads.map((thread) => thread.run(order)));
  const [begun, ended] = [outcomes.map((o) => Number(o.begun)), outcomes.map((o) => Number(o.ended))];
  return (1e9 * threads.length * order.runs) / (Math.max(...ended) - Math.min(...begun));
}

if (!isMainThread) {
  const { folder, threads } = workerData as Settings;
  const sessions = new Map<string, Session>();
  parentPort!.on('message', async (order: Order | 'stop') => {
    if (order === 'stop') {
      for (const session of sessions.values()) await session.release();
      return parentPort!.close();
    }
    const { graph, feeds, fetch, runs } = order;
    const session = sessions.get(graph) ?? (await openSession(join(folder, `${graph}.onnx`), { threads }));
    sessions.set(graph, session);
    let outputs: Record<string, Tensor> = {};
    const begun = process.hrtime.bigint();
    for (let i = 0; i < runs; i++) outputs = await session.run(feeds, fetch);
    parentPort!.postMessage({ outputs, begun, ended: process.hrtime.bigint() } satisfies Outcome);
  });
}

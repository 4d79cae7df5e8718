import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { isInvertible } from '../../export/model/manifest.js';
import { openSession, type Session } from '../../export/runtime.js';
import {
  type Batch,
  type GraphName,
  graphs,
  type ModelSource,
  type Order,
  type Outputs,
  type Report,
  STOP,
  type WorkerSettings,
} from './protocol.js';
import { owned } from './rows.js';
import { SelfTestError, selfTest } from './self-test.js';

// A worker thread: loads every model, tests it, then runs one batch after the other.

const { models, threads, preload } = workerData as WorkerSettings;

/** Bytes of weights up to which Φ⁻¹ is loaded at the start when that is left to us. */
const SMALL = 64 * 2 ** 20;

type Load = () => Promise<Session>;
const graphsOf = new Map<string, Record<GraphName, Load>>();
const opened: Session[] = [];

async function load({ folder, manifest }: ModelSource): Promise<void> {
  const forward = once(() => open(join(folder, 'forward.onnx')));
  const inverse = once(async () => {
    const session = await open(join(folder, 'inverse.onnx'));
    await selfTest(manifest, await forward(), session);
    return session;
  });
  graphsOf.set(manifest.name, { forward, inverse });
  await forward();
  const early = preload === 'both' || (preload === 'auto' && manifest.files['weights.bin'].bytes <= SMALL);
  if (early && isInvertible(manifest)) await inverse();
}

async function open(path: string): Promise<Session> {
  const session = await openSession(path, { threads });
  opened.push(session);
  return session;
}

/** The same promise at every call. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

async function run({ model, graph, input, outputs }: Batch): Promise<Report> {
  try {
    const session = await graphsOf.get(model)![graph]();
    const found = await session.run({ [graphs[graph].input]: input }, outputs);
    const own = Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, owned(tensor)]));
    return { kind: 'done', outputs: own as Partial<Outputs> };
  } catch (error) {
    return { kind: 'failed', message: (error as Error).message, untrusted: error instanceof SelfTestError };
  }
}

const report = (r: Report) => {
  const tensors = r.kind === 'done' ? Object.values(r.outputs) : [];
  parentPort!.postMessage(
    r,
    tensors.map((t) => t.data.buffer as ArrayBuffer),
  );
};

async function loadAll(): Promise<void> {
  try {
    for (const model of models) await load(model);
    report({ kind: 'ready' });
  } catch (error) {
    report({ kind: 'refused', message: (error as Error).message });
  }
}

async function stop(): Promise<void> {
  await loaded;
  for (const session of opened) await session.release();
  parentPort!.close();
}

const loaded = loadAll();

// One order at a time: the pool sends the next batch when it has the last one's report.
parentPort!.on('message', async (order: Order) => (order === STOP ? stop() : report(await run(order))));

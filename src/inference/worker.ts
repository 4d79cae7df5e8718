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
import { SelfTestError, selfTest, warmUp } from './self-test.js';

// A worker thread: loads every model, tests it, then runs one batch after the other.

const { models, threads, preload } = workerData as WorkerSettings;

/** Bytes of weights up to which Φ⁻¹ is loaded at the start when that is left to us. */
const SMALL = 64 * 2 ** 20;

/** A session that is opened when it is first asked for. */
interface Lazy {
  readonly session: () => Promise<Session>;
  readonly isOpen: () => boolean;
}
const graphsOf = new Map<string, Record<GraphName, Lazy>>();
const sessions: Session[] = [];

async function load({ folder, manifest }: ModelSource): Promise<void> {
  const forward = lazy(() => open(join(folder, 'forward.onnx')));
  const inverse = lazy(async () => {
    const session = await open(join(folder, 'inverse.onnx'));
    await selfTest(manifest, await forward.session(), session);
    return session;
  });
  graphsOf.set(manifest.name, { forward, inverse });
  await warmUp(manifest, await forward.session());
  const early = preload === 'both' || (preload === 'auto' && manifest.files['weights.bin'].bytes <= SMALL);
  if (early && isInvertible(manifest)) await inverse.session();
}

async function open(path: string): Promise<Session> {
  const session = await openSession(path, { threads });
  sessions.push(session);
  return session;
}

function lazy(make: () => Promise<Session>): Lazy {
  let made: Promise<Session> | undefined;
  let isOpen = false;
  const session = async () => {
    made ??= make();
    const opened = await made;
    isOpen = true;
    return opened;
  };
  return { session, isOpen: () => isOpen };
}

async function run({ model, graph, input, outputs }: Batch): Promise<Report> {
  try {
    const session = await opened(graphsOf.get(model)![graph]);
    const found = await session.run({ [graphs[graph].input]: input }, outputs);
    const own = Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, owned(tensor)]));
    return { kind: 'done', outputs: own as Partial<Outputs> };
  } catch (error) {
    return { kind: 'failed', message: (error as Error).message, untrusted: error instanceof SelfTestError };
  }
}

async function opened({ session, isOpen }: Lazy): Promise<Session> {
  if (isOpen()) return session();
  report({ kind: 'opening' });
  try {
    return await session();
  } finally {
    report({ kind: 'opened' });
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
  for (const session of sessions) await session.release();
  parentPort!.close();
}

const loaded = loadAll();

// One order at a time: the pool sends the next batch when it has the last one's report.
parentPort!.on('message', async (order: Order) => (order === STOP ? stop() : report(await run(order))));

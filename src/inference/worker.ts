import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
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
import { selfTest } from './self-test.js';

// A worker thread: loads every model, tests it, then runs one batch after the other.

const { models, threads } = workerData as WorkerSettings;
const sessions = new Map<string, Record<GraphName, Session>>();

async function load({ folder, manifest }: ModelSource): Promise<void> {
  const forward = await openSession(join(folder, 'forward.onnx'), { threads });
  const inverse = await openSession(join(folder, 'inverse.onnx'), { threads });
  await selfTest(manifest, forward, inverse);
  sessions.set(manifest.name, { forward, inverse });
}

async function run({ model, graph, input, outputs }: Batch): Promise<Report> {
  try {
    const session = sessions.get(model)![graph];
    const found = await session.run({ [graphs[graph].input]: input }, outputs);
    const own = Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, owned(tensor)]));
    return { kind: 'done', outputs: own as Partial<Outputs> };
  } catch (error) {
    return { kind: 'failed', message: (error as Error).message };
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
  for (const { forward, inverse } of sessions.values()) {
    await forward.release();
    await inverse.release();
  }
  parentPort!.close();
}

const loaded = loadAll();

// One order at a time: the pool sends the next batch when it has the last one's report.
parentPort!.on('message', async (order: Order) => (order === STOP ? stop() : report(await run(order))));

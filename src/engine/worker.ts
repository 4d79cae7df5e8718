import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { owned } from '../../export/graph/rows.js';
import { openPlaced, PlacementError } from '../../export/runtime/placement.js';
import { openSession, type Session } from '../../export/runtime/session.js';
import { openBySize } from './by-size.js';
import { createHost, type Open } from './host.js';
import { giveWay } from './priority.js';
import {
  type Batch,
  type GraphName,
  graphs,
  type Order,
  type Outputs,
  type Refusal,
  type Report,
  STOP,
  type WorkerSettings,
} from './protocol.js';
import { probeOf, SelfTestError } from './self-test.js';

// A worker thread: loads every model, tests it, then runs one batch after the other.

const settings = workerData as WorkerSettings;
const { threads, device, limits, buckets } = settings;

// Who feeds a GPU computes next to nothing, and is waited for.
if (device.provider === 'cpu') giveWay();

const open: Open = ({ folder, manifest }, graph) => {
  const path = join(folder, `${graph}.onnx`);
  const openFor = async (images: number): Promise<Session> => {
    const probe = probeOf(manifest, graph, images);
    const tryOut = async (session: Session) => {
      checkNames(path, session, graph);
      await session.run(probe);
    };
    // On the CPU there is nothing to fall back to.
    if (device.provider !== 'cpu') return openPlaced(path, { threads, device }, tryOut);
    const session = await openSession(path, { threads });
    await tryOut(session);
    return session;
  };
  const { name } = manifest;
  return device.provider === 'cpu' ? openFor(limits.get(name)!) : openBySize(buckets.get(name)!, openFor);
};

/** @throws Error when a file holds another graph than its name says */
function checkNames(path: string, { inputNames, outputNames }: Session, graph: GraphName): void {
  const { input, outputs } = graphs[graph];
  const missing = outputs.filter((name) => !outputNames.includes(name));
  if (inputNames.includes(input) && missing.length === 0) return;
  throw new Error(
    `${path} makes ${outputNames.join(', ')} of ${inputNames.join(', ')}; expected ${outputs.join(', ')} of ${input}. Export the model again`,
  );
}

const report = (r: Report) => {
  const tensors = r.kind === 'done' ? Object.values(r.outputs) : [];
  parentPort!.postMessage(
    r,
    tensors.map((t) => t.data.buffer as ArrayBuffer),
  );
};

const host = createHost(settings, open, {
  opening: () => report({ kind: 'opening' }),
  opened: () => report({ kind: 'opened' }),
  tested: (model, found) => report({ kind: 'tested', model, found }),
});

async function run(batch: Batch): Promise<Report> {
  try {
    const found = await host.run(batch);
    const own = Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, owned(tensor)]));
    return { kind: 'done', outputs: own as Partial<Outputs> };
  } catch (error) {
    return { kind: 'failed', message: (error as Error).message, untrusted: error instanceof SelfTestError };
  }
}

async function load(): Promise<void> {
  try {
    await host.load();
    report({ kind: 'ready' });
  } catch (error) {
    report({ kind: 'refused', reason: refusalOf(error), message: (error as Error).message });
  }
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof SelfTestError) return 'self-test-failed';
  return error instanceof PlacementError || device.provider !== 'cpu' ? 'provider-unavailable' : 'model-damaged';
}

async function stop(): Promise<void> {
  await loaded;
  await host.close();
  parentPort!.close();
}

const loaded = load();

// One order at a time: the pool sends the next batch when it has the last one's report.
parentPort!.on('message', async (order: Order) => (order === STOP ? stop() : report(await run(order))));

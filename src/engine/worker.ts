import { availableParallelism, constants, getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { owned } from '../../export/graph/rows.js';
import { type GraphName, graphs, type Tensors } from '../../export/model/signature.js';
import { openPlaced, PlacementError } from '../../export/runtime/placement.js';
import { openSession, type Session } from '../../export/runtime/session.js';
import { type Batch, type LoadFailure, type Order, type Report, STOP, type WorkerSettings } from './protocol.js';
import { probeOf, SelfTestError } from './self-test.js';
import { createSessionCache, type LoadGraph, openPerSize } from './sessions.js';

// A worker thread: loads every model, tests it, then runs one batch after the other.

const settings = workerData as WorkerSettings;
const { threads, device, limits, buckets } = settings;

// On Linux each thread has a priority. CPU workers lower theirs, so that the HTTP thread gets a core at once when all compute.
// (On a single core it would get all of it, and a flood of requests that are refused would stop the workers.)
if (device.provider === 'cpu' && process.platform === 'linux' && availableParallelism() > 1) {
  setPriority(Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL));
}

const loadGraph: LoadGraph = ({ folder, manifest }, graph) => {
  const path = join(folder, `${graph}.onnx`);
  const openFor = async (images: number): Promise<Session> => {
    const probe = probeOf(manifest, graph, images);
    const tryOut = async (session: Session) => {
      checkNames(path, session, graph);
      await session.run(probe);
    };
    // ONNX Runtime runs on the CPU what a GPU does not take, and says so only in its profile.
    if (device.provider !== 'cpu') return openPlaced(path, { threads, device }, tryOut);
    const session = await openSession(path, { threads });
    await tryOut(session);
    return session;
  };
  const { name } = manifest;
  return device.provider === 'cpu' ? openFor(limits.get(name)!) : openPerSize(buckets.get(name)!, openFor);
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

const sessions = createSessionCache(settings, loadGraph, {
  loadingGraph: () => report({ kind: 'loading-graph' }),
  loadedGraph: () => report({ kind: 'loaded-graph' }),
  tested: (model, found) => report({ kind: 'tested', model, found }),
});

async function run(batch: Batch): Promise<Report> {
  try {
    const found = await sessions.run(batch);
    const outputs = Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, owned(tensor)]));
    return { kind: 'done', outputs: outputs as Partial<Tensors> };
  } catch (error) {
    return { kind: 'failed', message: (error as Error).message, untrusted: error instanceof SelfTestError };
  }
}

async function load(): Promise<void> {
  try {
    await sessions.load();
    report({ kind: 'ready' });
  } catch (error) {
    report({ kind: 'load-failed', reason: failureOf(error), message: (error as Error).message });
  }
}

function failureOf(error: unknown): LoadFailure {
  if (error instanceof SelfTestError) return 'self-test-failed';
  return error instanceof PlacementError || device.provider !== 'cpu' ? 'provider-unavailable' : 'model-damaged';
}

async function stop(): Promise<void> {
  await loaded;
  await sessions.close();
  parentPort!.close();
}

const loaded = load();

// The pool sends the next batch only after the last one's report, so orders never overlap.
parentPort!.on('message', async (order: Order) => (order === STOP ? stop() : report(await run(order))));

import { availableParallelism, constants, getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import { owned } from '../../export/graph/rows.js';
import { ModelError, readManifest } from '../../export/model/folder.js';
import type { ModelSource } from '../../export/model/models-folder.js';
import { type GraphName, graphs, type Tensors } from '../../export/model/signature.js';
import { openPlaced, PlacementError } from '../../export/runtime/placement.js';
import { openSession, type Session } from '../../export/runtime/session.js';
import type { ProblemCode } from '../common/problems.js';
import type { Batch, Change, Edition, LoadFailure, Order, Report, WorkerSettings } from './protocol.js';
import { probeOf, SelfTestError } from './self-test.js';
import { createSessionCache, type LoadGraph, openPerSize } from './sessions.js';

// A worker thread: loads every model, tests it, then carries out one order after the other.

const { models, preload, threads, device } = workerData as WorkerSettings;

// On Linux each thread has a priority. CPU workers lower theirs, so that the HTTP thread gets a core at once when all compute.
// (On a single core it would get all of it, and a flood of requests that are refused would stop the workers.)
if (device.provider === 'cpu' && process.platform === 'linux' && availableParallelism() > 1) {
  setPriority(Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL));
}

const loadGraph: LoadGraph = async (model, graph) => {
  const { folder, manifest, limit, buckets } = model;
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
  try {
    return await (device.provider === 'cpu' ? openFor(limit) : openPerSize(buckets, openFor));
  } finally {
    await checkUnchanged(model);
  }
};

/** A folder may be replaced at any time, by one that other graphs come from. @throws ModelError */
async function checkUnchanged({ folder, manifest }: ModelSource): Promise<void> {
  const now = await readManifest(folder).catch(() => undefined);
  if (isDeepStrictEqual(now?.files, manifest.files)) return;
  throw new ModelError(
    `the folder of the model ${manifest.name} was ${now ? 'replaced' : 'removed'} since the model was loaded; load it again`,
  );
}

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

const sessions = createSessionCache(preload, loadGraph, {
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
    return { kind: 'failed', message: (error as Error).message, code: codeOf(error) };
  }
}

function codeOf(error: unknown): ProblemCode | undefined {
  if (error instanceof SelfTestError) return 'inverse-untrusted';
  return error instanceof ModelError ? 'model-unavailable' : undefined;
}

async function load(model: Edition): Promise<Change> {
  try {
    await sessions.load(model);
    return { kind: 'loaded', model: model.id };
  } catch (error) {
    return { kind: 'not-loaded', model: model.id, reason: failureOf(error), message: (error as Error).message };
  }
}

function failureOf(error: unknown): LoadFailure {
  if (error instanceof SelfTestError) return 'self-test-failed';
  return error instanceof PlacementError || device.provider !== 'cpu' ? 'provider-unavailable' : 'model-damaged';
}

async function unload(model: string): Promise<Change> {
  await sessions.unload(model);
  return { kind: 'unloaded', model };
}

async function start(): Promise<void> {
  for (const model of models) report(await load(model));
  report({ kind: 'ready' });
}

async function carryOut(order: Order): Promise<void> {
  switch (order.kind) {
    case 'run':
      return report(await run(order.batch));
    case 'load':
      return report(await load(order.model));
    case 'unload':
      return report(await unload(order.model));
    case 'stop':
      await sessions.close();
      parentPort!.close();
  }
}

let last = start();
parentPort!.on('message', (order: Order) => {
  last = last.then(() => carryOut(order));
});

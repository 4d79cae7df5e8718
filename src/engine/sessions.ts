import type { Tensor } from '../../export/graph/tensor.js';
import { isInvertible } from '../../export/model/manifest.js';
import { type GraphName, graphs } from '../../export/model/signature.js';
import type { Session } from '../../export/runtime/session.js';
import type { Preload } from '../common/config.js';
import { padded } from './padding.js';
import type { Batch, Edition, RoundTrip } from './protocol.js';
import { plainSizes, selfTest } from './self-test.js';

/** A graph that is loaded, here or on a server. */
export type LoadedGraph = Pick<Session, 'run' | 'release'>;

/** Loads a graph and runs it once, so that its memory is allocated and its kernels are chosen before requests come. */
export type LoadGraph = (model: Edition, graph: GraphName) => Promise<LoadedGraph>;

export interface SessionEvents {
  /** A batch waits for its graph to be loaded; the graph is loaded, or failed to. */
  loadingGraph?(): void;
  loadedGraph?(): void;
  /** A Φ⁻¹ passed its self-test. */
  tested?(model: Edition, found: RoundTrip): void;
}

/** The loaded graphs of all models, each loaded once. */
export interface SessionCache {
  /**
   * Takes a model in, and loads those of its graphs that are needed from the start.
   * @throws SelfTestError, and what loading throws: then nothing of it stays
   */
  load(model: Edition): Promise<void>;
  /**
   * Runs a batch, padded up to the model's buckets.
   * @throws SelfTestError, and what loading and running throw; RangeError when the model was not taken in
   */
  run(batch: Batch): Promise<Record<string, Tensor>>;
  /** Releases the graphs of a model. @param id of its edition */
  unload(id: string): Promise<void>;
  close(): Promise<void>;
}

/** Bytes of weights up to which Φ⁻¹ is loaded at the start under preload `auto`. */
const SMALL = 64 * 2 ** 20;

/** A model, and those of its graphs that are loaded or being loaded. */
interface Held {
  readonly model: Edition;
  readonly entries: Map<GraphName, Entry>;
  readonly loaded: LoadedGraph[];
}

interface Entry {
  /** Rejects if the graph cannot be loaded, or is an inverse that failed its self-test: it is not tried again. */
  readonly graph: Promise<LoadedGraph>;
  isLoaded: boolean;
}

/** A Φ⁻¹ is tested when it is loaded, and not served if it fails. */
export function createSessionCache(preload: Preload, loadGraph: LoadGraph, events: SessionEvents = {}): SessionCache {
  const models = new Map<string, Held>();

  const load = async (held: Held, name: GraphName): Promise<LoadedGraph> => {
    const { model, loaded } = held;
    const graph = await loadGraph(model, name);
    loaded.push(graph);
    if (name === 'inverse') {
      const { manifest, buckets } = model;
      const tried = buckets.length > 0 ? { encode: buckets, decode: buckets } : plainSizes;
      const forward = await entryOf(held, 'forward').graph;
      events.tested?.(model, await selfTest(manifest, forward, graph, tried));
    }
    return graph;
  };
  const entryOf = (held: Held, name: GraphName): Entry => {
    const existing = held.entries.get(name);
    if (existing) return existing;
    const entry: Entry = { graph: load(held, name), isLoaded: false };
    held.entries.set(name, entry);
    entry.graph.then(
      () => {
        entry.isLoaded = true;
      },
      () => undefined,
    );
    return entry;
  };
  const waiting = async (graph: Promise<LoadedGraph>) => {
    events.loadingGraph?.();
    try {
      await graph;
    } finally {
      events.loadedGraph?.();
    }
  };
  const unload = async (id: string) => {
    const held = models.get(id);
    models.delete(id);
    for (const graph of held?.loaded ?? []) await graph.release();
  };
  return {
    async load(model) {
      const { id, manifest } = model;
      const held = models.get(id) ?? { model, entries: new Map(), loaded: [] };
      models.set(id, held);
      try {
        await entryOf(held, 'forward').graph;
        const early = preload === 'both' || (preload === 'auto' && manifest.files['weights.bin'].bytes <= SMALL);
        if (early && isInvertible(manifest)) await entryOf(held, 'inverse').graph;
      } catch (error) {
        await unload(id);
        throw error;
      }
    },
    async run({ model: id, graph: name, input, outputs }) {
      const held = models.get(id);
      if (!held) throw new RangeError(`the model ${id} is not loaded`);
      const entry = entryOf(held, name);
      if (!entry.isLoaded) await waiting(entry.graph);
      return padded(await entry.graph, held.model.buckets)({ [graphs[name].input]: input }, outputs);
    },
    unload,
    async close() {
      for (const id of [...models.keys()]) await unload(id);
    },
  };
}

/**
 * Opens a graph once for each size of batch, so that each session sees one size only: ONNX Runtime's CUDA provider plans
 * all convolutions anew whenever the batch size changes, even back to a size that it has seen
 * (https://github.com/microsoft/onnxruntime/issues/23006).
 * @param sizes of all batches that will be run; at least one
 * @throws what opening throws; sessions that were opened are released
 */
export async function openPerSize(
  sizes: readonly number[],
  open: (images: number) => Promise<Session>,
): Promise<Session> {
  const sessions = new Map<number, Session>();
  const release = async () => {
    for (const session of sessions.values()) await session.release();
  };
  try {
    for (const size of sizes) sessions.set(size, await open(size));
  } catch (error) {
    await release();
    throw error;
  }
  const sessionFor = (images: number): Session => {
    const session = sessions.get(images);
    if (session) return session;
    throw new RangeError(`a batch of ${images} images, where one of ${sizes.join(', ')} was expected`);
  };
  return {
    ...sessionFor(sizes[0]!),
    async run(feeds, fetch) {
      const [input] = Object.values(feeds);
      return sessionFor(input!.dims[0]!).run(feeds, fetch);
    },
    release,
  };
}

import type { Tensor } from '../../export/graph/tensor.js';
import { isInvertible } from '../../export/model/manifest.js';
import type { ModelSource } from '../../export/model/models-folder.js';
import { type GraphName, graphs } from '../../export/model/signature.js';
import type { Session } from '../../export/runtime/session.js';
import { padded } from './padding.js';
import type { Batch, RoundTrip, ServedModels } from './protocol.js';
import { plainSizes, selfTest } from './self-test.js';

/** A graph that is loaded, here or on a server. */
export type LoadedGraph = Pick<Session, 'run' | 'release'>;

/** Loads a graph and runs it once, so that its memory is allocated and its kernels are chosen before requests come. */
export type LoadGraph = (source: ModelSource, graph: GraphName) => Promise<LoadedGraph>;

export interface SessionEvents {
  /** A batch waits for its graph to be loaded; the graph is loaded, or failed to. */
  loadingGraph?(): void;
  loadedGraph?(): void;
  /** A Φ⁻¹ passed its self-test. */
  tested?(model: string, found: RoundTrip): void;
}

/** The loaded graphs of all models, each loaded once. */
export interface SessionCache {
  /** Loads the graphs that are needed from the start. @throws SelfTestError, and what loading throws */
  load(): Promise<void>;
  /** Runs a batch, padded up to the model's buckets. @throws SelfTestError, and what loading and running throw */
  run(batch: Batch): Promise<Record<string, Tensor>>;
  close(): Promise<void>;
}

/** Bytes of weights up to which Φ⁻¹ is loaded at the start under preload `auto`. */
const SMALL = 64 * 2 ** 20;

interface Entry {
  /** Rejects if the graph cannot be loaded, or is an inverse that failed its self-test: it is not tried again. */
  readonly graph: Promise<LoadedGraph>;
  isLoaded: boolean;
}

/** A Φ⁻¹ is tested when it is loaded, and not served if it fails. */
export function createSessionCache(
  { models, preload, buckets }: ServedModels,
  loadGraph: LoadGraph,
  events: SessionEvents = {},
): SessionCache {
  const sources = new Map(models.map((source) => [source.manifest.name, source]));
  const entries = new Map<string, Entry>();
  const loaded: LoadedGraph[] = [];

  const load = async (source: ModelSource, name: GraphName): Promise<LoadedGraph> => {
    const { manifest } = source;
    const graph = await loadGraph(source, name);
    loaded.push(graph);
    if (name === 'inverse') {
      const sizes = buckets.get(manifest.name) ?? [];
      const tried = sizes.length > 0 ? { encode: sizes, decode: sizes } : plainSizes;
      const forward = await entryOf(manifest.name, 'forward').graph;
      events.tested?.(manifest.name, await selfTest(manifest, forward, graph, tried));
    }
    return graph;
  };
  const entryOf = (model: string, name: GraphName): Entry => {
    const key = `${model}/${name}`;
    const existing = entries.get(key);
    if (existing) return existing;
    const entry: Entry = { graph: load(sources.get(model)!, name), isLoaded: false };
    entries.set(key, entry);
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
  return {
    async load() {
      for (const { manifest } of models) {
        const { name, files } = manifest;
        await entryOf(name, 'forward').graph;
        const early = preload === 'both' || (preload === 'auto' && files['weights.bin'].bytes <= SMALL);
        if (early && isInvertible(manifest)) await entryOf(name, 'inverse').graph;
      }
    },
    async run({ model, graph: name, input, outputs }) {
      const entry = entryOf(model, name);
      if (!entry.isLoaded) await waiting(entry.graph);
      return padded(await entry.graph, buckets.get(model) ?? [])({ [graphs[name].input]: input }, outputs);
    },
    async close() {
      for (const graph of loaded) await graph.release();
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

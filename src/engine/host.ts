import type { Tensor } from '../../export/graph/tensor.js';
import { isInvertible } from '../../export/model/manifest.js';
import type { Session } from '../../export/runtime/session.js';
import { padded } from './buckets.js';
import { type Batch, type GraphName, graphs, type HostSettings, type ModelSource, type RoundTrip } from './protocol.js';
import { plainSizes, selfTest } from './self-test.js';

/** A graph that is open, here or elsewhere. */
export type Opened = Pick<Session, 'run' | 'release'>;

/** Opens a graph and runs it once, so that requests find memory taken and kernels chosen. */
export type Open = (source: ModelSource, graph: GraphName) => Promise<Opened>;

/** What a host tells of what it does. */
export interface HostEvents {
  /** A batch waits for its graph to be opened; it is open, or failed to. */
  opening?(): void;
  opened?(): void;
  /** Φ⁻¹ of a model gave back what it should. */
  tested?(model: string, found: RoundTrip): void;
}

/** The graphs of all models at a place where they run. */
export interface Host {
  /** Opens what is to be there from the start. @throws SelfTestError, and what opening throws */
  load(): Promise<void>;
  /** @throws SelfTestError, and what opening and running throw */
  run(batch: Batch): Promise<Record<string, Tensor>>;
  close(): Promise<void>;
}

/** Bytes of weights up to which Φ⁻¹ is loaded at the start when that is left to us. */
const SMALL = 64 * 2 ** 20;

/** A session that is opened when it is first asked for. */
interface Lazy {
  session(): Promise<Opened>;
  isOpen(): boolean;
}

/** A Φ⁻¹ is tested when it is opened, and not served if it fails. */
export function createHost({ models, preload, buckets }: HostSettings, open: Open, events: HostEvents = {}): Host {
  const sessions: Opened[] = [];
  const keep = async (source: ModelSource, graph: GraphName) => {
    const session = await open(source, graph);
    sessions.push(session);
    return session;
  };
  const lazies = new Map(
    models.map((source) => {
      const { manifest } = source;
      const forward = lazy(() => keep(source, 'forward'));
      const inverse = lazy(async () => {
        const session = await keep(source, 'inverse');
        const sizes = buckets.get(manifest.name);
        const tried = sizes?.length ? { encode: sizes, decode: sizes } : plainSizes;
        const found = await selfTest(manifest, await forward.session(), session, tried);
        events.tested?.(manifest.name, found);
        return session;
      });
      return [manifest.name, { forward, inverse }];
    }),
  );
  const opened = async ({ session, isOpen }: Lazy): Promise<Opened> => {
    if (isOpen()) return session();
    events.opening?.();
    try {
      return await session();
    } finally {
      events.opened?.();
    }
  };
  return {
    async load() {
      for (const { manifest } of models) {
        const { forward, inverse } = lazies.get(manifest.name)!;
        await forward.session();
        const early = preload === 'both' || (preload === 'auto' && manifest.files['weights.bin'].bytes <= SMALL);
        if (early && isInvertible(manifest)) await inverse.session();
      }
    },
    async run({ model, graph, input, outputs }) {
      const session = await opened(lazies.get(model)![graph]);
      return padded(session, buckets.get(model) ?? [])({ [graphs[graph].input]: input }, outputs);
    },
    async close() {
      for (const session of sessions) await session.release();
    },
  };
}

function lazy(make: () => Promise<Opened>): Lazy {
  let made: Promise<Opened> | undefined;
  let isOpen = false;
  const session = async () => {
    made ??= make();
    const opened = await made;
    isOpen = true;
    return opened;
  };
  return { session, isOpen: () => isOpen };
}

import type { Images } from '../../export/data/images.js';
import type { Graph } from '../../export/graph/graph.js';
import type { NamedTensors } from '../../export/graph/tensor.js';
import { emitInline } from '../../export/model/graphs.js';
import type { Model } from '../../export/model/open.js';
import { type Device, openSession, type Session } from '../../export/runtime/session.js';

/** Labelled images in two parts: what classifiers learn from, and what they are tried on. */
export interface Data {
  /** What the data are called in results and figures. */
  readonly name: string;
  /** Names of the classes, in the order of their numbers; undefined where the images have no labels. */
  readonly classes: readonly string[] | undefined;
  readonly train: Images | undefined;
  readonly test: Images;
}

/** Pictures that the user names, prepared for the model. */
export interface Pictures {
  readonly names: readonly string[];
  readonly images: Images;
}

/** What is told of an experiment that runs: so many of all images, steps or depths of a stage are done. */
export type Progress = (stage: string, done: number, total: number) => void;

/** What an experiment works on and with. */
export interface Context {
  readonly model: Model;
  readonly data?: Data | undefined;
  readonly pictures?: Pictures | undefined;
  readonly threads: number;
  readonly device?: Device;
  /** The folder in which features are kept between runs, and how many bytes it may hold; undefined: they are not kept. */
  readonly cache?: Cache | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export interface Cache {
  readonly folder: string;
  readonly bytes: number;
}

/** Of a graph that has inputs alone. */
export const noWeights: NamedTensors = new Map();

/**
 * Opens a graph for as long as `use` takes. Its runs end early, by throwing, when the context's signal is aborted. Large
 * tensors are better fed than built in: ONNX Runtime reads inputs where they lie.
 */
export async function withGraph<T>(
  { threads, device, signal }: Pick<Context, 'threads' | 'device' | 'signal'>,
  graph: Graph,
  weights: NamedTensors,
  use: (session: Pick<Session, 'run'>) => Promise<T>,
): Promise<T> {
  const session = await openSession(emitInline(graph, weights), { threads, ...(device && { device }) });
  const run: Session['run'] = (feeds, fetch) => {
    signal.throwIfAborted();
    return session.run(feeds, fetch);
  };
  try {
    return await use({ run });
  } finally {
    await session.release();
  }
}

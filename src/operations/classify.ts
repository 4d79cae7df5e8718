import { rows } from '../../export/graph/rows.js';
import { Problem } from '../common/problems.js';
import { type Engine, modelOf } from '../engine/engine.js';
import type { Done } from '../images/picture.js';
import type { Prepared } from '../images/prepare.js';
import { type ImageOptions, prepareBatch } from './images.js';

export interface ClassifyOptions extends ImageOptions {
  /** How many labels an image gets, best first. */
  readonly topK?: number | undefined;
}

/** A label, its number among the model's labels, and its probability. */
export interface Score {
  readonly index: number;
  readonly label: string;
  readonly probability: number;
}

export interface Classified {
  readonly model: string;
  /** One an image, in their order. */
  readonly predictions: {
    /** The most probable labels, best first. */
    readonly top: Score[];
    readonly image: { readonly source: Prepared['source']; readonly done: Done[] };
  }[];
}

const DEFAULT_TOP = 5;

/**
 * Classifies images.
 * @throws Problem unknown-model, top-k-out-of-range, and as `prepareBatch` and `Run`
 */
export async function classify(
  engine: Engine,
  files: readonly Uint8Array[],
  options: ClassifyOptions,
): Promise<Classified> {
  const manifest = modelOf(engine, options.model, options.work);
  const { name, labels } = manifest;
  const { topK = Math.min(DEFAULT_TOP, labels.length), invert, names, work } = options;
  if (!Number.isInteger(topK) || topK < 1 || topK > labels.length) {
    throw new Problem(
      'top-k-out-of-range',
      `the parameter topK is ${topK}; expected a whole number from 1 to ${labels.length}`,
    );
  }
  const { pixels, prepared } = await prepareBatch(files, manifest, {
    invert,
    names,
    work,
    maxPixels: engine.limits.maxPixels,
  });
  const { logits } = await engine.run({ model: manifest, graph: 'forward', input: pixels, outputs: ['logits'], work });
  const predictions = prepared.map(({ source, done }, i) => {
    const top = topOf(rows(logits, i, i + 1).data, labels, topK);
    return { top, image: { source, done: [...done] } };
  });
  return { model: name, predictions };
}

/** exp(zᵢ) / Σ exp(zⱼ), with the largest z subtracted first, so that nothing overflows. */
export function softmax(logits: ArrayLike<number>): number[] {
  const z = Array.from(logits);
  const largest = Math.max(...z);
  const exponentials = z.map((v) => Math.exp(v - largest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((v) => v / sum);
}

/** The most probable labels of one image, best first. */
export const topOf = (logits: ArrayLike<number>, labels: readonly string[], count: number): Score[] =>
  softmax(logits)
    .map((probability, index) => ({ index, label: labels[index]!, probability }))
    .sort((a, b) => b.probability - a.probability || a.index - b.index)
    .slice(0, count);

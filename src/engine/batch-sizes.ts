import type { Manifest } from '../../export/model/manifest.js';
import type { Provider } from '../../export/runtime/session.js';
import { type Config, numbersIn } from '../common/config.js';
import { bucketsOf } from './buckets.js';
import type { ModelSource } from './protocol.js';

/** Pixels of the inputs of a batch beyond which a larger one is not faster (measured: `npm run bench -- ceiling`). */
const BATCH_PIXELS: Readonly<Record<Provider, number>> = { cpu: 2 ** 18, cuda: 2 ** 21 };
/** Images beyond which whoever waits behind a batch loses more than it gains (measured: `npm run bench -- overload`). */
const MOST_IMAGES: Readonly<Record<Provider, number>> = { cpu: 16, cuda: 64 };

/** Buckets where none are given. On GPUs each size has sessions, and may have kernels and so last bits, of its own. */
const BUCKETS: Readonly<Record<Provider, readonly number[]>> = { cpu: [], cuda: [1, 8, 64] };

export interface BatchSizes {
  /** Images in a batch, by model. */
  readonly limits: ReadonlyMap<string, number>;
  /** Sizes that batches are padded up to, by model. */
  readonly buckets: ReadonlyMap<string, readonly number[]>;
}

/** Sizes of the batches of models: as given, or as they gain by. */
export function batchSizes(
  { maxBatch, batchBuckets }: Pick<Config, 'maxBatch' | 'batchBuckets'>,
  models: readonly ModelSource[],
  provider: Provider = 'cpu',
): BatchSizes {
  const given = numbersIn(batchBuckets);
  const wanted = given.length > 0 ? given : BUCKETS[provider];
  const largest = wanted.length > 0 ? Math.max(...wanted) : Infinity;
  const limits = new Map(
    models.map(({ manifest }) => [manifest.name, Math.min(largest, batchLimit(maxBatch, manifest, provider))]),
  );
  return { limits, buckets: new Map([...limits].map(([name, limit]) => [name, bucketsOf(wanted, limit)])) };
}

/** Images in a batch of a model: as given, or a power of two, as many as the model gains by. */
export function batchLimit(
  given: number,
  { input }: Pick<Manifest, 'input'>,
  provider: Provider = 'cpu',
  most = MOST_IMAGES[provider],
): number {
  const gained = BATCH_PIXELS[provider] / (input.height * input.width);
  return given || Math.min(most, 2 ** Math.max(0, Math.floor(Math.log2(gained))));
}

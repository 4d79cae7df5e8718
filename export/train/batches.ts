import { type Images, pixelsOf, select } from '../data/images.js';
import { permutation, seeded } from '../data/random.js';
import { type Tensor, tensor } from '../graph/tensor.js';
import type { Settings } from './recipe.js';

/** Numbers that keep apart the random sequences of a run, which all come from its seed. */
export const draws = { initial: 0, validation: 1, order: 2, augmentation: 3 } as const;

/** Sets images aside to validate on: which, depends on the seed alone. */
export function partition(
  images: Images,
  { validation, seed }: Settings,
): Readonly<Record<'training' | 'validation', Images>> {
  if (validation === 0) return { training: images, validation: select(images, []) };
  const order = permutation(images.count, seeded(seed, draws.validation));
  return {
    validation: select(images, order.subarray(0, validation)),
    training: select(images, order.subarray(validation).sort()),
  };
}

/** The images of each step. Every epoch has an order of its own; a batch that is not full is left out. */
export function batches(images: Images, perEpoch: number, { batch, seed }: Settings): (step: number) => Images {
  let current: { epoch: number; order: Uint32Array } = { epoch: -1, order: Uint32Array.of() };
  return (step) => {
    const epoch = Math.floor(step / perEpoch);
    if (current.epoch !== epoch)
      current = { epoch, order: permutation(images.count, seeded(seed, draws.order, epoch)) };
    const first = (step % perEpoch) * batch;
    return select(images, current.order.subarray(first, first + batch));
  };
}

/** A batch as the training step takes it. */
export const feedsOf = (images: Images): Record<'pixels' | 'labels', Tensor> => ({
  pixels: pixelsOf(images),
  labels: tensor('int64', [images.count], images.labels),
});

import { type Images, joined } from '../data/images.js';
import { permutation, seeded } from '../data/random.js';
import { type ImageSource, subset } from '../data/source.js';
import type { Settings } from './recipe.js';

/** Numbers that keep apart the random sequences of a run, which all come from its seed. */
export const draws = { initial: 0, validation: 1, order: 2, augmentation: 3 } as const;

/** Sets images aside to validate on: which, depends on the seed alone. */
export function partition(
  images: ImageSource,
  { validation, seed }: Settings,
): Readonly<Record<'training' | 'validation', ImageSource>> {
  if (validation === 0) return { training: images, validation: subset(images, Uint32Array.of()) };
  const order = permutation(images.count, seeded(seed, draws.validation));
  return {
    validation: subset(images, order.slice(0, validation)),
    training: subset(images, order.slice(validation).sort()),
  };
}

/**
 * The images of some steps; as many for the steps after them are decoded meanwhile. Every epoch has an order of its own; a batch that is not full is left out. An image
 * that cannot be read is replaced by the next of the order that can.
 */
export function batches(
  images: ImageSource,
  perEpoch: number,
  { batch, seed }: Settings,
): (step: number, steps: number) => Promise<Images[]> {
  let current: { epoch: number; order: Uint32Array } = { epoch: -1, order: Uint32Array.of() };
  const orderOf = (epoch: number): Uint32Array => {
    if (current.epoch !== epoch)
      current = { epoch, order: permutation(images.count, seeded(seed, draws.order, epoch)) };
    return current.order;
  };
  const read = async (step: number): Promise<Images> => {
    const order = orderOf(Math.floor(step / perEpoch));
    const first = (step % perEpoch) * batch;
    let some = await images.batch(order.subarray(first, first + batch));
    for (let next = first + batch; some.count < batch; next++)
      some = joined(some, await images.batch([order[next % order.length]!]));
    return some;
  };
  const started = new Map<number, Promise<Images>>();
  const start = (step: number): Promise<Images> => {
    const batch = started.get(step) ?? read(step);
    // Its error is thrown when the step is taken. Until then Node.js must not report an unhandled rejection.
    batch.catch(() => undefined);
    started.set(step, batch);
    return batch;
  };
  return (first, steps) => {
    const numbers = Array.from({ length: steps }, (_, i) => first + i);
    const taken = numbers.map(start);
    for (const step of numbers) {
      start(step + steps);
      started.delete(step);
    }
    return Promise.all(taken);
  };
}

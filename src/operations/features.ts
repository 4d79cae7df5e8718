import { Problem } from '../common/problems.js';

/**
 * Checks that an array is a batch of features [N, C, H, W], with the C, H, W of a model and N from 1 to `maxImages`.
 * @param dims the shape of the array
 * @param shape the model's [C, H, W]
 * @throws Problem features-rank, features-shape, too-many-images
 */
export function checkFeatures(dims: readonly number[], shape: readonly number[], maxImages: number): void {
  const found = `the features have shape [${dims.join(', ')}]`;
  const expected = `expected [N, ${shape.join(', ')}]`;
  if (dims.length !== shape.length + 1) throw new Problem('features-rank', `${found}; ${expected}`);
  if (dims[0] === 0 || shape.some((size, i) => size !== dims[i + 1]))
    throw new Problem('features-shape', `${found}; ${expected}`);
  if (dims[0]! > maxImages) throw new Problem('too-many-images', `${found}; at most ${maxImages} are decoded at once`);
}

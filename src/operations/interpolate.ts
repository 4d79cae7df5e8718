import { rows } from '../../export/graph/rows.js';
import { type Tensor, tensor } from '../../export/graph/tensor.js';
import { Problem } from '../common/problems.js';
import { admitted } from '../common/work.js';
import { type Engine, invertibleOf } from '../engine/engine.js';
import type { Recovered } from './decode.js';
import { encodeWith } from './encode.js';
import type { ImageOptions } from './images.js';

export interface InterpolateOptions extends ImageOptions {
  /** Frames, both ends included. */
  readonly steps?: number | undefined;
}

export const DEFAULT_STEPS = 8;

/**
 * Φ⁻¹ of evenly spaced points on the line from Φ(a) to Φ(b).
 * @throws Problem steps-out-of-range, not-invertible, inverse-untrusted, and as `encode`
 */
export async function interpolate(
  engine: Engine,
  a: Uint8Array,
  b: Uint8Array,
  options: InterpolateOptions,
): Promise<Recovered> {
  const { steps = DEFAULT_STEPS, work } = options;
  const { maxSteps } = engine.limits;
  if (!Number.isInteger(steps) || steps < 2 || steps > maxSteps) {
    throw new Problem(
      'steps-out-of-range',
      `the parameter steps is ${steps}; expected a whole number from 2 to ${maxSteps}`,
    );
  }
  const manifest = invertibleOf(engine, options.model, work);
  work?.admit?.(2 + steps);
  const { model, features } = await encodeWith(engine, manifest, [a, b], { ...options, work: admitted(work) });
  const input = line(rows(features, 0, 1), rows(features, 1, 2), steps);
  const outputs = ['pixels', 'image'] as const;
  return { model, ...(await engine.run({ model: manifest, graph: 'inverse', input, outputs, work })) };
}

/** (1 − t) a + t b for evenly spaced t from 0 to 1; the ends are a and b to the last bit. */
export function line(a: Tensor<'float32'>, b: Tensor<'float32'>, steps: number): Tensor<'float32'> {
  const size = a.data.length;
  const data = new Float32Array(steps * size);
  for (let s = 0; s < steps; s++) {
    const t = s / (steps - 1);
    for (let i = 0; i < size; i++) data[s * size + i] = (1 - t) * a.data[i]! + t * b.data[i]!;
  }
  return tensor('float32', [steps, ...a.dims.slice(1)], data);
}

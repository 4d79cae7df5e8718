import { open } from 'node:fs/promises';
import type { ParameterData } from '../graph/emit.js';
import type { Parameter } from '../graph/graph.js';
import { staticShape } from '../graph/shape.js';
import { bytesOf, bytesPerElement, fromBytes, type NamedTensors, sizeOf, type Tensor } from '../graph/tensor.js';

/** The file with the weights of all graphs of a model. */
export const WEIGHTS_FILE = 'weights.bin';

/** Every tensor starts at a multiple of this number of bytes, so that the file can be mapped into memory. */
const ALIGNMENT = 64;

interface Slot {
  readonly offset: number;
  readonly length: number;
}

/** Where each parameter lies in the weights file, in the order given, and the file's size. */
export function weightsLayout(parameters: readonly Parameter[]): { slots: ReadonlyMap<string, Slot>; bytes: number } {
  let end = 0;
  const slots = new Map<string, Slot>();
  for (const p of parameters) {
    const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    const length = bytesPerElement(p.type.dtype) * sizeOf(staticShape(p.type.shape));
    slots.set(p.source.name, { offset, length });
    end = offset + length;
  }
  return { slots, bytes: end };
}

/** Tells `emit` where in the weights file a parameter is. */
export const externalWeights =
  (slots: ReadonlyMap<string, Slot>) =>
  (p: Parameter): ParameterData => ({ kind: 'external', location: WEIGHTS_FILE, ...slots.get(p.source.name)! });

/** Gives the values of parameters one at a time, so that a large network need not fit into memory. */
export interface WeightSource {
  get(name: string): Tensor | undefined | Promise<Tensor>;
}

/**
 * The content of the weights file, parameter by parameter.
 * @param progress is called with the bytes so far and the bytes of the whole file
 */
export async function* weightsPieces(
  parameters: readonly Parameter[],
  source: WeightSource,
  progress: (done: number, total: number) => void = () => {},
): AsyncGenerator<Uint8Array> {
  const { slots, bytes } = weightsLayout(parameters);
  let at = 0;
  for (const [name, { offset, length }] of slots) {
    if (offset > at) yield new Uint8Array(offset - at);
    yield bytesOf((await source.get(name))!);
    at = offset + length;
    progress(at, bytes);
  }
}

/**
 * Reads the given parameters from a weights file. They must be the first that were written; the parameters of variants
 * follow those of the network.
 * @throws RangeError when the file is too short for them
 */
export async function readWeights(parameters: readonly Parameter[], path: string): Promise<NamedTensors> {
  const { slots, bytes } = weightsLayout(parameters);
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size < bytes) throw new RangeError(`${path} has ${size} bytes, the network needs ${bytes}`);
    const weights = new Map<string, Tensor>();
    for (const p of parameters) {
      const { offset, length } = slots.get(p.source.name)!;
      const data = new Uint8Array(length);
      await file.read(data, 0, length, offset);
      weights.set(p.source.name, fromBytes(p.type.dtype, staticShape(p.type.shape), data));
    }
    return weights;
  } finally {
    await file.close();
  }
}

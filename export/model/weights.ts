import type { Placement } from '../emit.js';
import type { Parameter } from '../graph.js';
import { staticShape } from '../shape.js';
import { bytesOf, sizeOf, tensor } from '../tensor.js';
import type { NamedTensors } from '../train/packing.js';

/** The file in which both graphs of a model find their weights. */
export const WEIGHTS_FILE = 'weights.bin';

/** Tensors start at multiples of this many bytes, so that they can be mapped into memory. */
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
    const length = 4 * sizeOf(staticShape(p.type.shape));
    slots.set(p.source.name, { offset, length });
    end = offset + length;
  }
  return { slots, bytes: end };
}

/** Tells `emit` where in the weights file a parameter is. */
export const externalWeights =
  (slots: ReadonlyMap<string, Slot>) =>
  (p: Parameter): Placement => ({ kind: 'external', location: WEIGHTS_FILE, ...slots.get(p.source.name)! });

/** The content of the weights file. */
export function writeWeights(parameters: readonly Parameter[], tensors: NamedTensors): Uint8Array {
  const { slots, bytes } = weightsLayout(parameters);
  const file = new Uint8Array(bytes);
  for (const [name, { offset }] of slots) file.set(bytesOf(tensors.get(name)!), offset);
  return file;
}

/** Takes the weights file apart again; throws RangeError when its size is not that of the parameters. */
export function readWeights(parameters: readonly Parameter[], file: Uint8Array): NamedTensors {
  const { slots, bytes } = weightsLayout(parameters);
  if (file.length !== bytes)
    throw new RangeError(`${WEIGHTS_FILE} has ${file.length} bytes, the network needs ${bytes}`);
  return new Map(
    parameters.map((p) => {
      const { offset, length } = slots.get(p.source.name)!;
      const data = new Float32Array(new Uint8Array(file.subarray(offset, offset + length)).buffer);
      return [p.source.name, tensor('float32', staticShape(p.type.shape), data)];
    }),
  );
}

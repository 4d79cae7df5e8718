import { checkNumbers } from '../../../export/formats/json.js';
import { sizeOf } from '../../../export/graph/tensor.js';
import type { TensorInfo } from '../../../export/model/signature.js';
import { described, expect, expectOptional, malformed } from './expect.js';
import type { Served } from './models.js';
import { parametersOf } from './parameters.js';

/** An output that a client asks for. */
export interface Wanted {
  readonly tensor: TensorInfo;
  /** Whether it is sent as raw bytes after the JSON. */
  readonly binary: boolean;
}

/**
 * Reads which outputs a request asks for, in their order; all of the model's where it names none.
 * @param binary the request's default: whether outputs are sent as raw bytes
 * @throws Problem inference-malformed; FormatError too-large
 */
export function wantedOf(value: unknown, served: Served, binary: boolean, images: number): Wanted[] {
  const outputs = expectOptional(value, 'array', 'outputs') ?? [];
  const wanted =
    outputs.length > 0 ? named(outputs, served, binary) : served.outputs.map((tensor) => ({ tensor, binary }));
  const numbers = wanted.reduce((sum, { tensor, binary }) => sum + (binary ? 0 : images * sizeOf(tensor.row)), 0);
  checkNumbers(numbers);
  return wanted;
}

function named(outputs: readonly unknown[], { name: model, outputs: tensors }: Served, binary: boolean): Wanted[] {
  const wanted = new Map<string, Wanted>();
  for (const [i, output] of outputs.entries()) {
    const { name, parameters } = expect(output, 'object', `outputs[${i}]`);
    const tensor = tensors.find((t) => t.name === name);
    if (!tensor) {
      const names = tensors.map((t) => t.name).join(', ');
      throw malformed(`the name of outputs[${i}] is ${described(name)}; model ${model} gives ${names}`);
    }
    if (wanted.has(tensor.name)) throw malformed(`the output ${tensor.name} is asked for twice`);
    const { binary_data } = parametersOf(parameters, `the output ${tensor.name}`);
    const own = expectOptional(binary_data, 'boolean', `binary_data of the output ${tensor.name}`);
    wanted.set(tensor.name, { tensor, binary: own ?? binary });
  }
  return [...wanted.values()];
}

import { readFile } from 'node:fs/promises';
import { type IRevNetConfig, irevnet } from '../../export/architectures/irevnet.js';
import { input } from '../../export/graph.js';
import { readSafetensors } from '../../export/safetensors.js';
import type { Tensor } from '../../export/tensor.js';
import { relativeError, sessionOf } from './graph.js';

/** Runs weights of the authors' released code, and says how far we are from what that code computed. */
export async function compareWithRelease(path: string, config: IRevNetConfig) {
  const { tensors } = readSafetensors(await readFile(path));
  const x = tensors.get('expected.input') as Tensor;
  const network = irevnet(config);
  const value = input('x', 'float32', ['N', ...x.dims.slice(1)]);
  const { features, logits } = network.encode(value);
  const forward = await sessionOf({ name: 'forward', inputs: [value], outputs: { features, logits } }, tensors);
  const z = input('z', 'float32', ['N', ...network.features]);
  const inverse = await sessionOf({ name: 'inverse', inputs: [z], outputs: { x: network.decode(z) } }, tensors);
  const encoded = await forward.run({ x });
  const decoded = await inverse.run({ z: encoded.features! });
  return {
    features: relativeError(encoded.features!, tensors.get('expected.features')!),
    logits: relativeError(encoded.logits!, tensors.get('expected.logits')!),
    inversion: relativeError(decoded.x!, x),
  };
}

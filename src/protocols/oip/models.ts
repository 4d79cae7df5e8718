import { isInvertible, type Manifest } from '../../../export/model/manifest.js';
import { type GraphName, type Signature, signatureOf, type TensorInfo } from '../../../export/model/signature.js';
import { Problem } from '../../common/problems.js';
import { elements } from './elements.js';
import { quoted } from './expect.js';

/** The only version of each model. */
export const VERSION = '1';

const PLATFORM = 'onnxruntime_onnx';

/** A model of the protocol: one graph of one model folder. */
export interface Served extends Signature {
  readonly name: string;
  readonly model: string;
  readonly graph: GraphName;
}

/** Φ of each model under the model's name, and Φ⁻¹ under `<name>-inverse`, unless a model has that name. */
export function servedModels(manifests: readonly Manifest[]): ReadonlyMap<string, Served> {
  const forward = manifests.map((manifest) => serve(manifest.name, manifest, 'forward'));
  const invertible = manifests.filter(isInvertible);
  const inverse = invertible.map((manifest) => serve(`${manifest.name}-inverse`, manifest, 'inverse'));
  return new Map([...inverse, ...forward].map((served) => [served.name, served]));
}

const serve = (name: string, manifest: Manifest, graph: GraphName): Served => ({
  name,
  model: manifest.name,
  graph,
  ...signatureOf(manifest, graph),
});

/** @throws Problem unknown-model, unknown-version */
export function servedOf(models: ReadonlyMap<string, Served>, name: string, version = VERSION): Served {
  const served = models.get(name);
  if (!served) {
    throw new Problem('unknown-model', `there is no model ${quoted(name)}; there is ${[...models.keys()].join(', ')}`);
  }
  if (version === VERSION) return served;
  throw new Problem('unknown-version', `model ${name} has no version ${quoted(version)}; expected ${VERSION}`);
}

/** The protocol's metadata of a model; -1 stands for the number of images. */
export const metadataOf = ({ name, input, outputs }: Served) => ({
  name,
  versions: [VERSION],
  platform: PLATFORM,
  inputs: [describe(input)],
  outputs: outputs.map(describe),
});

const describe = ({ name, type, row }: TensorInfo) => ({
  name,
  datatype: elements[type].datatype,
  shape: [-1, ...row],
});

/**
 * Triton's configuration of a model, as far as it holds here: the fields by which clients prepare their requests.
 * https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_model_configuration.html
 * @param maxImages images in a request
 */
export const configOf = ({ name, input, outputs }: Served, maxImages: number) => ({
  name,
  platform: PLATFORM,
  backend: 'onnxruntime',
  version_policy: { latest: { num_versions: 1 } },
  max_batch_size: maxImages,
  input: [{ ...configure(input), format: input.name === 'pixels' ? 'FORMAT_NHWC' : 'FORMAT_NCHW' }],
  output: outputs.map(configure),
});

/** Without the axis of the images, unlike the metadata. */
const configure = ({ name, type, row }: TensorInfo) => ({
  name,
  data_type: `TYPE_${elements[type].datatype}`,
  dims: [...row],
});

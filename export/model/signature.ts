import type { Tensor } from '../graph/tensor.js';
import type { Manifest } from './manifest.js';

/** The tensors that graphs of a model take and give, by name; each has a row per image. */
export interface Tensors {
  pixels: Tensor<'uint8'>;
  image: Tensor<'float32'>;
  features: Tensor<'float32'>;
  logits: Tensor<'float32'>;
}
export type TensorName = keyof Tensors;

/** The graphs of a model: what each takes and gives. A further graph is a further line. */
export const graphs = {
  forward: { input: 'pixels', outputs: ['features', 'logits', 'image'] },
  inverse: { input: 'features', outputs: ['pixels', 'image'] },
} as const satisfies Readonly<Record<string, { input: TensorName; outputs: readonly TensorName[] }>>;
export type GraphName = keyof typeof graphs;

/** A tensor of a model's graph. */
export interface TensorInfo {
  readonly name: TensorName;
  readonly type: Tensors[TensorName]['type'];
  /** The shape of the row of one image. */
  readonly row: readonly number[];
}

/** What a graph of a model takes and gives. */
export interface Signature {
  readonly input: TensorInfo;
  readonly outputs: readonly TensorInfo[];
}

export function signatureOf(manifest: Pick<Manifest, 'input' | 'labels' | 'features'>, graph: GraphName): Signature {
  const tensors = tensorsOf(manifest);
  const info = (name: TensorName): TensorInfo => ({ name, ...tensors[name] });
  const { input, outputs } = graphs[graph];
  return { input: info(input), outputs: outputs.map(info) };
}

type Described = { readonly [N in TensorName]: { readonly type: Tensors[N]['type']; readonly row: readonly number[] } };

const tensorsOf = ({
  input: { height, width, channels },
  labels,
  features,
}: Pick<Manifest, 'input' | 'labels' | 'features'>): Described => ({
  pixels: { type: 'uint8', row: [height, width, channels] },
  image: { type: 'float32', row: [channels, height, width] },
  features: { type: 'float32', row: features.shape },
  logits: { type: 'float32', row: [labels.length] },
});

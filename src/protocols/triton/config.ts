import type { TensorInfo } from '../../../export/model/signature.js';
import { elements } from '../oip/elements.js';
import type { Served } from '../oip/models.js';
import { type Message, mapOf } from './pbtxt.js';

/** Execution providers of Triton; auto: a GPU where the server has one, else the CPU. */
export const providers = ['cuda', 'cpu', 'auto'] as const;
export type Provider = (typeof providers)[number];

export interface TritonSettings {
  readonly provider: Provider;
  /** Preferred batch sizes, ascending. Each is warmed up; the largest is the limit. */
  readonly batches: readonly number[];
  /** Milliseconds that images wait for others to fill a batch. */
  readonly maxDelay: number;
  /** Bytes of GPU memory that the arena of each graph may take; undefined: all there is. */
  readonly gpuMemory?: number | undefined;
}

/** A file in the model's folder with a label a line, which Triton's classification extension reads. */
export const LABELS_FILE = 'labels.txt';

/** The recovered pixels of the ensemble: `pixels` is its input, and each tensor of an ensemble has one source. */
const RECOVERED = 'recovered';

const kinds = { cuda: Symbol('KIND_GPU'), cpu: Symbol('KIND_CPU'), auto: Symbol('KIND_AUTO') } as const;

/**
 * The configuration of a graph: a `ModelConfig` of Triton's ONNX Runtime backend with dynamic batching. Each preferred size
 * is run once before the model is ready: on a GPU the first batch of a size is slow. Since ONNX Runtime 1.20 every batch is
 * slow whose size differs from the one before (https://github.com/microsoft/onnxruntime/issues/23006).
 *
 * Triton neither pads batches nor gives Φ and Φ⁻¹ the same ones, so a GPU may choose different kernels for the two, and no
 * setting prevents it. Measure on the GPU that the inverse is exact at the sizes in use (docker/triton/README.md). Batches
 * of one image (`[1]`) have the same size in both directions.
 */
export const graphConfig = ({ name, input, outputs }: Served, settings: TritonSettings): Message => ({
  name,
  backend: 'onnxruntime',
  max_batch_size: largest(settings),
  input: [describeInput(input)],
  output: outputs.map(describeOutput),
  instance_group: [{ kind: kinds[settings.provider], count: 1 }],
  dynamic_batching: {
    // With 1 as a preferred size, no request would wait to be batched.
    preferred_batch_size: settings.batches.filter((size) => size > 1),
    max_queue_delay_microseconds: Math.round(settings.maxDelay * 1000),
  },
  ...(settings.provider !== 'cpu' && cudaOptions(settings)),
  model_warmup: settings.batches.map((size) => warmup(input, size)),
});

/** The configuration of the round trip as an ensemble: pixels → features, logits → recovered pixels. */
export const roundTripConfig = (name: string, forward: Served, inverse: Served, settings: TritonSettings): Message => ({
  name,
  platform: 'ensemble',
  max_batch_size: largest(settings),
  input: [describeInput(forward.input)],
  output: [
    describeOutput({ ...forward.input, name: RECOVERED }),
    ...forward.outputs.filter((output) => output.name === 'logits').map(describeOutput),
  ],
  ensemble_scheduling: {
    step: [
      step(forward.name, { pixels: 'pixels' }, { features: 'features', logits: 'logits' }),
      step(inverse.name, { features: 'features' }, { pixels: RECOVERED }),
    ],
  },
});

const largest = ({ batches }: TritonSettings): number => Math.max(...batches);

/** A step of the ensemble: a model, and the ensemble's names of its tensors; -1 is the latest version. */
const step = (model: string, inputs: Record<string, string>, outputs: Record<string, string>): Message => ({
  model_name: model,
  model_version: -1,
  input_map: mapOf(inputs),
  output_map: mapOf(outputs),
});

type Tensor = Pick<TensorInfo, 'type' | 'row'> & { readonly name: string };

const dataType = ({ type }: Tensor): symbol => Symbol(`TYPE_${elements[type].datatype}`);

const describe = (tensor: Tensor): Message => ({
  name: tensor.name,
  data_type: dataType(tensor),
  dims: tensor.row,
});

const describeInput = (tensor: Tensor): Message => ({
  ...describe(tensor),
  format: tensor.name === 'pixels' ? Symbol('FORMAT_NHWC') : undefined,
});

const describeOutput = (tensor: Tensor): Message => ({
  ...describe(tensor),
  label_filename: tensor.name === 'logits' ? LABELS_FILE : undefined,
});

const warmup = (tensor: Tensor, size: number): Message => ({
  name: `batch of ${size}`,
  batch_size: size,
  inputs: mapOf({ [tensor.name]: { data_type: dataType(tensor), dims: tensor.row, zero_data: true } }),
});

/**
 * Options of the CUDA provider. Kernels of convolutions are chosen by heuristics: timing them, as ONNX Runtime before 1.20
 * does unless told otherwise, may end differently at every start. Products are in full float32; TF32 rounds to 10 bits.
 *
 * The backend takes the options in `parameters` last, and its defaults for those that are missing there, so that they are
 * lost when they are given to the accelerator; all others it takes from the accelerator alone
 * (https://github.com/triton-inference-server/server/issues/8808).
 */
const cudaOptions = ({ gpuMemory }: TritonSettings): Message => ({
  optimization: {
    execution_accelerators: {
      gpu_execution_accelerator: [
        { name: 'cuda', parameters: mapOf({ use_tf32: '0', cudnn_conv_use_max_workspace: '1' }) },
      ],
    },
  },
  parameters: mapOf({
    cudnn_conv_algo_search: parameter(HEURISTIC),
    arena_extend_strategy: parameter(SAME_AS_REQUESTED),
    gpu_mem_limit: gpuMemory === undefined ? undefined : parameter(gpuMemory),
  }),
});

/** Algorithm search: EXHAUSTIVE (0, the default), HEURISTIC (1), DEFAULT (2). */
const HEURISTIC = 1;
/** Growth of the memory arena: next power of two (0, the default), same as requested (1), as Φ and Φ⁻¹ share a GPU. */
const SAME_AS_REQUESTED = 1;

const parameter = (value: number): Message => ({ string_value: String(value) });

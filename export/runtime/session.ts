import './environment.js';
import ort from 'onnxruntime-node';
import type { DType, Tensor, TypedArray } from '../graph/tensor.js';

/** Where a session runs: the CPU, or the NVIDIA GPU of this number. */
export interface Device {
  readonly provider: Provider;
  readonly id: number;
}
export type Provider = 'cpu' | 'cuda';
export const CPU: Device = { provider: 'cpu', id: 0 };

export interface SessionOptions {
  readonly device?: Device;
  /** Threads inside one op; 0 lets ONNX Runtime take every core. */
  readonly threads?: number;
  /** 'all' fuses and picks layouts by processor; 'none' runs the graph as it is written. */
  readonly optimisation?: 'all' | 'none';
  /** How the name of a file begins that gets the time of every node, until `endProfiling`. */
  readonly profile?: string;
}

/** A loaded model. `run` blocks its JavaScript thread while the model computes. */
export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Runs the model on named inputs; only the outputs named in `fetch` (default: all) are brought back. */
  run(feeds: Readonly<Record<string, Tensor>>, fetch?: readonly string[]): Promise<Record<string, Tensor>>;
  endProfiling(): void;
  release(): Promise<void>;
}

type ProviderOption = NonNullable<ort.InferenceSession.SessionOptions['executionProviders']>[number];

/** Of the options of CUDA, onnxruntime-node heeds the device alone. Nodes that it does not take run on the CPU. */
const providers: Readonly<Record<Provider, (device: Device) => ProviderOption>> = {
  cpu: () => 'cpu',
  cuda: ({ id }) => ({ name: 'cuda', deviceId: id }),
};

/**
 * Opens an ONNX model from a file (external weights are found beside it) or from its bytes.
 * @throws ONNX Runtime's own error when the model does not load
 */
export async function openSession(source: string | Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const settings: ort.InferenceSession.SessionOptions = {
    executionProviders: [providers[(options.device ?? CPU).provider](options.device ?? CPU)],
    intraOpNumThreads: options.threads ?? 0,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: options.optimisation === 'none' ? 'disabled' : 'all',
    enableMemPattern: false,
    logSeverityLevel: 3,
    ...(options.profile !== undefined && { enableProfiling: true, profileFilePrefix: options.profile }),
  };
  const session =
    typeof source === 'string'
      ? await ort.InferenceSession.create(source, settings)
      : await ort.InferenceSession.create(source, settings);
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    async run(feeds, fetch = session.outputNames) {
      const inputs = Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, native(t)]));
      const outputs = await session.run(inputs, [...fetch]);
      return Object.fromEntries(Object.entries(outputs).map(([name, t]) => [name, ours(t)]));
    },
    endProfiling: () => session.endProfiling(),
    release: () => session.release(),
  };
}

const native = ({ type, data, dims }: Tensor): ort.Tensor =>
  new ort.Tensor(type as 'float32', data as Float32Array, dims);

const ours = (t: ort.Tensor): Tensor => ({ type: t.type as DType, dims: t.dims, data: t.data as TypedArray }) as Tensor;

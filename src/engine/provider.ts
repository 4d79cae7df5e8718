import { emit } from '../../export/graph/emit.js';
import { constant, input } from '../../export/graph/graph.js';
import { conv } from '../../export/graph/ops/conv.js';
import { tensor } from '../../export/graph/tensor.js';
import { missingForCuda } from '../../export/runtime/cuda.js';
import { openPlaced } from '../../export/runtime/placement.js';
import type { Provider, SessionOptions } from '../../export/runtime/session.js';
import type { Config } from '../common/config.js';
import { ExitError } from '../common/exit-codes.js';

/** What computes. */
export interface Chosen {
  readonly provider: Provider;
  /** Why it is not the GPU, where the choice was left to us. */
  readonly because?: string;
}

/**
 * Tries what is asked for on a small convolution, so that nothing falls back in silence.
 * @param ids of GPUs; each is tried
 * @throws ExitError provider-unavailable, when CUDA is asked for and does not work
 */
export async function chooseProvider(wanted: Config['executionProvider'], ids: readonly number[]): Promise<Chosen> {
  if (wanted === 'cpu') return { provider: 'cpu' };
  for (const id of ids) {
    const because = await whyNotCuda(id);
    if (because === undefined) continue;
    if (wanted === 'auto') return { provider: 'cpu', because };
    throw new ExitError(
      'provider-unavailable',
      `CUDA does not work on GPU ${id}: ${because}. Mend that, or choose --execution-provider cpu or auto`,
    );
  }
  return { provider: 'cuda' };
}

/** Why a GPU does not compute; undefined when it does. */
async function whyNotCuda(id: number): Promise<string | undefined> {
  const missing = await missingForCuda();
  if (missing !== undefined) return missing;
  try {
    await runConvolution({ device: { provider: 'cuda', id }, threads: 1 });
    return undefined;
  } catch (error) {
    return reasonIn(error as Error);
  }
}

/** What a library of CUDA answered, out of a line with the code that asked; else the first line. */
export const reasonIn = ({ message }: Error): string =>
  /\b(?:CUDA|CUDNN|CUBLAS) failure -?\d+: [^;\n]*[^;\n\s]/.exec(message)?.[0] ??
  message.split('\n')[0]!.replace(/\.$/, '');

/** Opens a session of one convolution, runs it where it is told to, and closes it. */
export async function runConvolution(options: SessionOptions): Promise<void> {
  const x = input('x', 'float32', [1, 1, 8, 8]);
  const weight = tensor('float32', [1, 1, 3, 3], new Float32Array(9).fill(1));
  const model = emit({ name: 'probe', inputs: [x], outputs: { y: conv(x, constant(weight)) } }, () => {
    throw new Error('the probe has no parameters');
  });
  const feeds = { x: tensor('float32', [1, 1, 8, 8], new Float32Array(64)) };
  const session = await openPlaced(model, options, (opened) => opened.run(feeds));
  await session.release();
}

import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { emit } from '../graph/emit.js';
import { constant, input } from '../graph/graph.js';
import { conv } from '../graph/ops/conv.js';
import { tensor } from '../graph/tensor.js';
import { openPlaced } from './placement.js';
import type { SessionOptions } from './session.js';

const PROVIDER = 'libonnxruntime_providers_cuda.so';
const INSTALL = 'node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install';

/**
 * Tries a small convolution on a GPU. (ONNX Runtime itself falls back to the CPU without an error.)
 * @returns why the GPU cannot be used; undefined when it can
 */
export async function whyNotCuda(gpu: number): Promise<string | undefined> {
  const missing = await missingForCuda();
  if (missing !== undefined) return missing;
  try {
    await runConvolution({ device: { provider: 'cuda', id: gpu }, threads: 1 });
    return undefined;
  } catch (error) {
    return reasonIn(error as Error);
  }
}

/** The folder of ONNX Runtime's libraries for this platform. */
export function nativeFolder(): string {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const [version] = readdirSync(join(root, 'bin')).filter((name) => name.startsWith('napi-'));
  return join(root, 'bin', version!, process.platform, process.arch);
}

/**
 * Checks the files of the CUDA provider and, by the dynamic linker, the libraries that it needs. (ONNX Runtime reports
 * missing ones on the standard error only.)
 * @param folder where the provider's library is looked for
 * @returns what is missing; undefined when nothing is
 */
export async function missingForCuda(folder: string = nativeFolder()): Promise<string | undefined> {
  const library = join(folder, PROVIDER);
  if (!existsSync(library)) return `${PROVIDER} is not installed beside onnxruntime-node; run: ${INSTALL}`;
  const { stdout } = await promisify(execFile)('ldd', [library]).catch(() => ({ stdout: '' }));
  const missing = [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map(([, name]) => name);
  if (missing.length === 0) return undefined;
  return `${PROVIDER} needs libraries that are not found: ${missing.join(', ')}; install CUDA and cuDNN of the versions it was built for, or name their folder in LD_LIBRARY_PATH`;
}

/**
 * Opens a session of one convolution on a device, runs it there and closes it.
 * @throws PlacementError when it ran elsewhere; ONNX Runtime's own error when it does not run
 */
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

/** The answer of a CUDA library in an error of ONNX Runtime, without the source line around it; else the first line. */
export const reasonIn = ({ message }: Error): string =>
  /\b(?:CUDA|CUDNN|CUBLAS) failure -?\d+: [^;\n]*[^;\n\s]/.exec(message)?.[0] ??
  message.split('\n')[0]!.replace(/\.$/, '');

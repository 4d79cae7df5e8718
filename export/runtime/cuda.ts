import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const PROVIDER = 'libonnxruntime_providers_cuda.so';
const INSTALL = 'node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install';

/** The folder of ONNX Runtime's libraries for this platform. */
export function nativeFolder(): string {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const [version] = readdirSync(join(root, 'bin')).filter((name) => name.startsWith('napi-'));
  return join(root, 'bin', version!, process.platform, process.arch);
}

/**
 * Why the CUDA provider cannot be loaded, as far as its files and the dynamic linker tell; undefined when they are there
 * with all that they need. ONNX Runtime says it on the standard error only.
 * @param folder where the provider's library is looked for
 */
export async function missingForCuda(folder: string = nativeFolder()): Promise<string | undefined> {
  const library = join(folder, PROVIDER);
  if (!existsSync(library)) return `${PROVIDER} is not installed beside onnxruntime-node; run: ${INSTALL}`;
  const { stdout } = await promisify(execFile)('ldd', [library]).catch(() => ({ stdout: '' }));
  const missing = [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map(([, name]) => name);
  if (missing.length === 0) return undefined;
  return `${PROVIDER} needs libraries that are not found: ${missing.join(', ')}; install CUDA and cuDNN of the versions it was built for, or name their folder in LD_LIBRARY_PATH`;
}

import { type Tensor, tensor } from '../../export/graph/tensor.js';
import type { Manifest } from '../../export/model/manifest.js';
import { Problem } from '../common/problems.js';
import { timed, type Work } from '../common/work.js';
import { type Prepared, type PrepareOptions, prepareImage } from '../images/prepare.js';

/** Settings of every operation. */
export interface Options {
  readonly model?: string | undefined;
  readonly work?: Work | undefined;
}

/** Settings of every operation on images. */
export interface ImageOptions extends Options {
  readonly invert: PrepareOptions['invert'];
  /** Names of the files in errors; by default their numbers, where there are several. */
  readonly names?: readonly string[] | undefined;
}

export interface PreparedBatch {
  /** uint8 [N, H, W, C] */
  readonly pixels: Tensor<'uint8'>;
  readonly prepared: readonly Prepared[];
}

/**
 * Prepares uploaded files for a model, as one batch in their order. They are decoded one after the other, so that a
 * request holds one large image in memory at a time.
 * @throws Problem as `prepareImage`, its message naming the file
 */
export async function prepareBatch(
  files: readonly Uint8Array[],
  manifest: Manifest,
  options: PrepareOptions & Pick<ImageOptions, 'names' | 'work'>,
): Promise<PreparedBatch> {
  const { work } = options;
  work?.admit?.(files.length);
  const prepared = await timed(work, 'decode', () => prepareEach(files, manifest, options));
  const { height, width, channels } = manifest.input;
  const size = height * width * channels;
  const data = new Uint8Array(files.length * size);
  for (const [i, { pixels }] of prepared.entries()) data.set(pixels, i * size);
  return { pixels: tensor('uint8', [files.length, height, width, channels], data), prepared };
}

async function prepareEach(
  files: readonly Uint8Array[],
  manifest: Manifest,
  { names, work, ...settings }: PrepareOptions & Pick<ImageOptions, 'names' | 'work'>,
): Promise<Prepared[]> {
  const options = { ...settings, signal: work?.signal };
  const prepared: Prepared[] = [];
  for (const [i, file] of files.entries()) {
    work?.signal?.throwIfAborted();
    const name = names?.[i] ?? (files.length > 1 ? `file ${i + 1} of ${files.length}` : undefined);
    prepared.push(await named(name, prepareImage(file, manifest, options)));
  }
  return prepared;
}

/** Puts the name of the file into the message of a problem with it. */
async function named<T>(name: string | undefined, preparing: Promise<T>): Promise<T> {
  try {
    return await preparing;
  } catch (error) {
    if (name === undefined || !(error instanceof Problem)) throw error;
    throw new Problem(error.code, `${name}: ${error.message}`, { cause: error });
  }
}

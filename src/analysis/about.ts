import { join } from 'node:path';
import type { Static, TObject, TSchema } from 'typebox';
import type { Manifest } from '../../export/model/manifest.js';
import { timed } from '../common/work.js';
import { type Engine, invertibleOf, modelOf } from '../engine/engine.js';
import type { Done } from '../images/picture.js';
import type { Prepared } from '../images/prepare.js';
import { type ImageOptions, prepareBatch } from '../operations/images.js';
import type { Experiment } from './experiment.js';
import { image } from './image.js';
import { runInThread } from './in-thread.js';
import { metamer } from './metamer.js';

interface PreparedUpload {
  readonly source: Prepared['source'];
  readonly done: Done[];
}

/** What an experiment found, the model's name, and how the uploads were prepared. */
interface Found<R> {
  readonly model: string;
  readonly result: R;
  readonly prepared: PreparedUpload[];
}

/**
 * Runs an experiment on uploaded pictures, in a thread beside the service.
 * @param names what errors call the files
 * @throws Problem as `prepareBatch`; ModelError when the folder of the model has changed
 */
async function onUploads<O extends TObject, R extends TSchema>(
  engine: Engine,
  manifest: Manifest,
  { name }: Experiment<O, R>,
  options: Partial<Static<O>>,
  files: readonly Uint8Array[],
  { invert, names, work }: Pick<ImageOptions, 'invert' | 'names' | 'work'>,
): Promise<Found<Static<R>>> {
  const settings = { invert, names, work, maxPixels: engine.limits.maxPixels };
  const { pixels, prepared } = await prepareBatch(files, manifest, settings);
  const [count, height, width, channels] = pixels.dims as [number, number, number, number];
  const task = {
    experiment: name,
    options,
    folder: join(engine.folder, manifest.name),
    names: names ?? ['upload'],
    images: { count, height, width, channels, pixels: pixels.data, labels: new Uint16Array(count) },
  };
  const result = await timed(work, 'inference', () => runInThread<Static<R>>(task, work?.signal));
  return {
    model: manifest.name,
    result,
    prepared: prepared.map(({ source, done }) => ({ source, done: [...done] })),
  };
}

export interface AboutOptions extends ImageOptions {
  readonly spectrum?: boolean | undefined;
}

export type AboutImage = Static<typeof image.result> & { readonly model: string; readonly image: PreparedUpload };

/**
 * Everything about one uploaded picture: the experiment `image`.
 * @throws Problem unknown-model, and as `onUploads`
 */
export async function about(
  engine: Engine,
  file: Uint8Array,
  { model, spectrum, ...rest }: AboutOptions,
): Promise<AboutImage> {
  const options = spectrum === undefined ? {} : { spectrum };
  const found = await onUploads(engine, modelOf(engine, model, rest.work), image, options, [file], rest);
  return { model: found.model, ...found.result, image: found.prepared[0]! };
}

export type AboutPair = Static<typeof metamer.result> & {
  readonly model: string;
  readonly images: PreparedUpload[];
};

/**
 * Metamers of two uploaded pictures: the experiment `metamer`.
 * @throws Problem unknown-model, not-invertible, inverse-untrusted, and as `onUploads`
 */
export async function aboutPair(
  engine: Engine,
  a: Uint8Array,
  b: Uint8Array,
  { model, ...rest }: ImageOptions,
): Promise<AboutPair> {
  const manifest = invertibleOf(engine, model, rest.work);
  const found = await onUploads(engine, manifest, metamer, {}, [a, b], rest);
  return { model: found.model, ...found.result, images: found.prepared };
}

import { join } from 'node:path';
import type { Static } from 'typebox';
import { timed } from '../common/work.js';
import { type Engine, modelOf } from '../engine/engine.js';
import type { Done } from '../images/picture.js';
import type { Prepared } from '../images/prepare.js';
import { type ImageOptions, prepareBatch } from '../operations/images.js';
import { image } from './image.js';
import { runInThread } from './in-thread.js';

type About = Static<typeof image.result>;

export interface AboutOptions extends ImageOptions {
  readonly spectrum?: boolean | undefined;
}

export interface AboutImage extends About {
  readonly model: string;
  readonly image: { readonly source: Prepared['source']; readonly done: Done[] };
}

/**
 * Everything about one uploaded picture: the experiment `image`, in a thread beside the service.
 * @throws Problem unknown-model, and as `prepareBatch`; ModelError when the folder of the model has changed
 */
export async function about(
  engine: Engine,
  file: Uint8Array,
  { model, invert, spectrum, work }: AboutOptions,
): Promise<AboutImage> {
  const manifest = modelOf(engine, model, work);
  const { pixels, prepared } = await prepareBatch([file], manifest, {
    invert,
    work,
    maxPixels: engine.limits.maxPixels,
  });
  const [count, height, width, channels] = pixels.dims as [number, number, number, number];
  const images = { count, height, width, channels, pixels: pixels.data, labels: new Uint16Array(count) };
  const options = spectrum === undefined ? {} : { spectrum };
  const task = {
    experiment: image.name,
    options,
    folder: join(engine.folder, manifest.name),
    names: ['upload'],
    images,
  };
  const found = await timed(work, 'inference', () => runInThread<About>(task, work?.signal));
  const [{ source, done }] = prepared as [Prepared];
  return { model: manifest.name, ...found, image: { source, done: [...done] } };
}

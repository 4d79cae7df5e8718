import { join } from 'node:path';
import type { Test } from 'tap';
import { type Images, slice } from '../../export/data/images.js';
import { knownDatasets } from '../../export/data/index.js';
import { openModel } from '../../export/model/open.js';
import type { Context } from '../../src/analysis/context.js';
import { type RandomModel, randomModels } from './app.js';
import { small, someImages } from './networks.js';

const images = await someImages('test');

/** A context with a model of random weights and the first test images; of one thread, without a cache. */
export async function contextOf(
  t: Test,
  {
    count = 12,
    network = { config: small },
    pictures,
  }: { count?: number; network?: RandomModel; pictures?: Images } = {},
): Promise<Context> {
  const folder = await randomModels(t, { random: network });
  return {
    model: await openModel(join(folder, 'random')),
    ...(pictures === undefined && {
      data: {
        name: 'fashion-mnist',
        classes: knownDatasets['fashion-mnist']!.labels,
        train: undefined,
        test: slice(images, 0, count),
      },
    }),
    ...(pictures && {
      pictures: { names: Array.from({ length: pictures.count }, (_, n) => `picture ${n}`), images: pictures },
    }),
    threads: 1,
    progress: () => undefined,
    signal: new AbortController().signal,
  };
}

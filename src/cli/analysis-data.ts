import type { Command } from 'commander';
import { type Content, selectContent } from '../../export/data/dataset.js';
import type { Images } from '../../export/data/images.js';
import { permutation, seeded } from '../../export/data/random.js';
import type { Model } from '../../export/model/open.js';
import type { Data } from '../analysis/context.js';
import {
  addDataOptions as addCommonOptions,
  type DataFlags as CommonFlags,
  contentFor,
  withData,
  withImages,
} from './data.js';
import { whole } from './numbers.js';

export interface DataFlags extends CommonFlags {
  readonly limit?: number;
}

export const addDataOptions = (command: Command): Command =>
  addCommonOptions(command).option(
    '--limit <n>',
    'images of each part, chosen at random, the same ones in every run',
    whole(1),
  );

/** The images of an experiment; undefined where no data set is named and the model was trained on none. @throws DatasetError */
export async function analysisData({ manifest }: Model, flags: DataFlags): Promise<Data | undefined> {
  const usual = manifest.training?.dataset;
  if (flags.dataset === undefined && flags.data === undefined && typeof usual !== 'string') return undefined;
  return withData(flags, typeof usual === 'string' ? usual : undefined, async (dataset) => {
    const load = async (part: 'train' | 'test' | 'all'): Promise<Images> => {
      const content = some(await contentFor(dataset, part, manifest.labels), flags.limit);
      return withImages(content, manifest, flags, (source) =>
        source.batch(Uint32Array.from({ length: source.count }, (_, i) => i)),
      );
    };
    const parted = dataset.parts.includes('train') && dataset.parts.includes('test');
    const train = parted ? await load('train') : undefined;
    return { name: dataset.name, classes: manifest.labels, train, test: await load(parted ? 'test' : 'all') };
  });
}

const SEED = 1;

/** At most `limit` of the images, in their order: the first ones might all be of one class. */
function some(content: Content, limit = content.labels.length): Content {
  const { length } = content.labels;
  if (limit >= length) return content;
  return selectContent(content, permutation(length, seeded(SEED)).slice(0, limit).sort());
}

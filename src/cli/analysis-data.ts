import { type Command, Option } from 'commander';
import { type Images, select } from '../../export/data/images.js';
import { datasetNamed, datasets, loadFor } from '../../export/data/index.js';
import { permutation, seeded } from '../../export/data/random.js';
import type { Model } from '../../export/model/open.js';
import type { Data } from '../analysis/context.js';
import { whole } from './numbers.js';

export interface DataFlags {
  readonly dataset?: string;
  readonly data?: string;
  readonly limit?: number;
}

export const addDataOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--dataset <name>', 'whose images (default: what the model was trained on)').choices(
        Object.keys(datasets),
      ),
    )
    .option('--data <folder>', 'where the data set lies (default: where Debian installs it)')
    .option('--limit <n>', 'images of each part, chosen at random, the same ones in every run', whole(1));

/** The images of an experiment; undefined where no data set is named and the model was trained on none. @throws DatasetError */
export async function analysisData({ manifest, network }: Model, flags: DataFlags): Promise<Data | undefined> {
  const name = flags.dataset ?? manifest.training?.dataset;
  if (typeof name !== 'string') return undefined;
  const part = async (which: 'train' | 'test') => some(await loadFor(network, name, which, flags.data), flags.limit);
  return { name, classes: datasetNamed(name).labels, train: await part('train'), test: await part('test') };
}

const SEED = 1;

/** At most `limit` of the images, in their order: the first ones might all be of one class. */
function some(images: Images, limit = images.count): Images {
  if (limit >= images.count) return images;
  return select(images, permutation(images.count, seeded(SEED)).slice(0, limit).sort());
}

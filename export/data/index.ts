import type { Network } from '../networks/network.js';
import { type Dataset, DatasetError, type Part } from './dataset.js';
import { fashionMnist } from './fashion-mnist.js';
import type { Images } from './images.js';

export { type Dataset, DatasetError } from './dataset.js';

/** Every data set, by name. Adding one is one file and one line. */
export const datasets: Readonly<Record<string, Dataset>> = { 'fashion-mnist': fashionMnist };

/** @throws DatasetError when there is no data set of this name */
export function datasetNamed(name: string): Dataset {
  if (Object.hasOwn(datasets, name)) return datasets[name]!;
  throw new DatasetError(`unknown data set ${JSON.stringify(name)}; there are: ${Object.keys(datasets).join(', ')}`);
}

/**
 * Loads a part of a data set for a network.
 * @param folder where it lies, if not in its usual place
 * @throws DatasetError when it is missing or damaged, has another number of classes than the network, or images of
 *   another size
 */
export async function loadFor(network: Network, name: string, part: Part, folder?: string): Promise<Images> {
  const dataset = datasetNamed(name);
  const classes = dataset.labels.length;
  if (network.classes !== classes) {
    throw new DatasetError(
      `the network has ${network.classes} classes, the data set ${name} has ${classes}; expected as many. Choose another network or data set`,
    );
  }
  const images = await dataset.load(folder ?? dataset.folder, part);
  const [wanted, found] = [sizeOf(network.input), sizeOf(images)];
  if (wanted === found) return images;
  throw new DatasetError(
    `the network takes images of ${wanted}, the data set ${name} has images of ${found} (height × width × channels). Choose another network or data set`,
  );
}

const sizeOf = ({ height, width, channels }: Pick<Images, 'height' | 'width' | 'channels'>): string =>
  `${height} × ${width} × ${channels}`;

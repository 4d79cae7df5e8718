import { type Dataset, DatasetError } from './dataset.js';
import { readIdx } from './idx.js';

const REMEDY = 'On Debian: apt-get install dataset-fashion-mnist; or name the folder with --data';

/** 60,000 training and 10,000 test images of clothes, grey, 28 × 28. Xiao, Rasul, Vollgraf 2017. */
export const fashionMnist: Dataset = {
  folder: '/usr/share/datasets/fashion-mnist',
  labels: ['T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'],
  preprocessing: { fit: 'contain', polarity: 'light-on-dark' },
  async load(folder, part) {
    const prefix = part === 'train' ? 'train' : 't10k';
    const images = await readIdx(folder, `${prefix}-images-idx3-ubyte`, 3, REMEDY);
    const labels = await readIdx(folder, `${prefix}-labels-idx1-ubyte`, 1, REMEDY);
    const [count, height, width] = images.dims as [number, number, number];
    if (labels.dims[0] !== count) throw new DatasetError(`${folder}: ${count} images but ${labels.dims[0]} labels`);
    return { count, height, width, channels: 1, pixels: images.data, labels: Uint16Array.from(labels.data) };
  },
};

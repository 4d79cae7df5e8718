import t from 'tap';
import { augment } from '../../../export/data/augment.js';
import { select, slice } from '../../../export/data/images.js';
import { noiseImages } from '../../../export/data/noise.js';
import { seeded } from '../../../export/data/random.js';
import { someImages } from '../../helpers/networks.js';

t.test('augmentation shifts and mirrors images, and does nothing else', async (t) => {
  const images = select(await someImages('train'), [0, 1, 2, 3]);
  const still = augment(images, { shift: 0, flip: false }, seeded(1));
  t.same(still.pixels, images.pixels, 'no shift and no flip change nothing');
  const one = slice(images, 0, 1);
  const moved = new Set<string>();
  for (let seed = 0; seed < 200; seed++)
    moved.add(Buffer.from(augment(one, { shift: 1, flip: true }, seeded(seed)).pixels).toString('base64'));
  t.equal(moved.size, 18, '9 shifts, mirrored or not');
});

t.test('a rectangle is erased in a share of the images, within its range of areas', async (t) => {
  const grey = { height: 20, width: 30, channels: 3 };
  const images = { ...grey, count: 300, pixels: new Uint8Array(300 * 1800), labels: new Uint16Array(300) };
  const { pixels } = augment(images, { shift: 0, flip: false, erase: 0.5 }, seeded(1));
  t.ok(
    images.pixels.every((p) => p === 0),
    'the images themselves stay',
  );
  const shares = Array.from({ length: 300 }, (_, n) => {
    const image = pixels.subarray(n * 1800, (n + 1) * 1800);
    const touched = Array.from({ length: 600 }, (_, i) => i).filter((i) =>
      image.subarray(3 * i, 3 * i + 3).some((p) => p !== 0),
    );
    if (touched.length === 0) return 0;
    const [rows, columns] = [touched.map((i) => Math.floor(i / 30)), touched.map((i) => i % 30)];
    const box = [rows, columns].map((places) => Math.max(...places) - Math.min(...places) + 1);
    t.equal(touched.length, box[0]! * box[1]!, 'a rectangle');
    return touched.length / 600;
  });
  const erased = shares.filter((share) => share > 0);
  t.ok(erased.length > 120 && erased.length < 180, `half of 300, here ${erased.length}`);
  t.ok(Math.min(...erased) > 0.01 && Math.max(...erased) < 0.36 && Math.max(...erased) > 0.25);
});

t.test('a random crop is scaled to the whole image', async (t) => {
  const [height, width] = [12, 16];
  // A plane, which bilinear interpolation keeps: brightness says where a pixel comes from.
  const plane = Array.from({ length: height * width }, (_, i) => [8 * Math.floor(i / width), 8 * (i % width), 7]);
  const image = {
    count: 1,
    height,
    width,
    channels: 3,
    pixels: Uint8Array.from(plane.flat()),
    labels: new Uint16Array(1),
  };
  const areas = Array.from({ length: 100 }, (_, seed) => {
    const { pixels } = augment(image, { shift: 0, flip: false, resizedCrop: 0.3 }, seeded(seed));
    const at = (y: number, x: number) => [...pixels.subarray(3 * (y * width + x), 3 * (y * width + x) + 3)];
    const [top, bottom] = [at(0, 0), at(height - 1, width - 1)] as [number[], number[]];
    const rows = (bottom[0]! - top[0]!) / 8 + 1;
    const columns = (bottom[1]! - top[1]!) / 8 + 1;
    t.equal(Math.round(rows) / rows, 1, 'whole rows');
    t.ok(rows <= height && columns <= width && columns / rows > 0.6 && columns / rows < 1.7, `${rows} × ${columns}`);
    const middle = at(height / 2, width / 2);
    t.ok(
      middle.every((value, c) => Math.abs(value - (top[c]! + bottom[c]!) / 2) < 8),
      'half way between its corners',
    );
    return (rows * columns) / (height * width);
  });
  t.ok(
    Math.min(...areas) > 0.25 && Math.min(...areas) < 0.45 && Math.max(...areas) > 0.8,
    'areas over the whole range',
  );
  const whole = augment(image, { shift: 0, flip: false, resizedCrop: 1 }, seeded(1));
  t.same(whole.pixels, image.pixels, 'a crop of the whole image is the image');
});

t.test('images are selected with their labels, of which there may be 1,000 classes', async (t) => {
  const images = { ...noiseImages(3, { height: 2, width: 2, channels: 1 }, 1), labels: Uint16Array.of(999, 0, 300) };
  const chosen = select(images, [2, 0]);
  t.same([...chosen.labels], [300, 999]);
  t.same([...chosen.pixels], [...images.pixels.subarray(8, 12), ...images.pixels.subarray(0, 4)]);
  t.same(slice(images, 1, 3), select(images, [1, 2]));
});

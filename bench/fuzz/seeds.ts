import { readFile } from 'node:fs/promises';
import sharp, { type Sharp } from 'sharp';
import { seeded } from '../../export/data/random.js';
import { packagePath } from '../../export/files/package.js';
import { writeNpy } from '../../export/formats/npy.js';
import { safetensorsHeader, writeSafetensors } from '../../export/formats/safetensors.js';
import { bytesOf, type Tensor, tensor } from '../../export/graph/tensor.js';
import { fashionImages, photograph } from '../pictures.js';

const SIZE = { width: 48, height: 40 };

/** A photograph with an alpha channel in which one corner is transparent. */
function picture(seed: number): Sharp {
  const { width, height } = SIZE;
  const rgb = photograph(width, height, seeded(seed));
  const data = Buffer.alloc(width * height * 4, 255);
  for (let i = 0; i < width * height; i++) {
    data.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
    if (i % width < 8 && i < 8 * width) data[4 * i + 3] = 100;
  }
  return sharp(data, { raw: { ...SIZE, channels: 4 } });
}

const opaque = () => picture(1).removeAlpha();

/** Three frames below each other, as sharp takes an animation. */
function animation(): Sharp {
  const { width, height } = SIZE;
  const frames = [2, 3, 4].map((seed) => photograph(width, height, seeded(seed)));
  const raw = { width, height: 3 * height, channels: 3, pageHeight: height } as const;
  return sharp(Buffer.concat(frames), { raw });
}

/** An image of every type that is read, and of what is odd in each. */
export const imageSeeds = async (): Promise<Buffer[]> =>
  Promise.all([
    ...(await fashionImages()),
    readFile(packagePath('test', 'data', 'images', 'boot-on-white.jpg')),
    opaque().jpeg().toBuffer(),
    opaque().jpeg({ progressive: true, chromaSubsampling: '4:4:4' }).toBuffer(),
    opaque().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    opaque().greyscale().jpeg().toBuffer(),
    opaque().toColourspace('cmyk').jpeg().toBuffer(),
    picture(1).png().toBuffer(),
    opaque().png({ progressive: true }).toBuffer(),
    opaque().png({ palette: true, colours: 16 }).toBuffer(),
    picture(1).toColourspace('rgb16').png().toBuffer(),
    opaque().toColourspace('grey16').png().toBuffer(),
    picture(1).webp().toBuffer(),
    opaque().webp({ lossless: true }).toBuffer(),
    animation().webp().toBuffer(),
    picture(1).gif().toBuffer(),
    opaque().gif({ progressive: true }).toBuffer(),
    animation().gif().toBuffer(),
    opaque().tiff({ compression: 'none' }).toBuffer(),
    opaque().tiff({ compression: 'lzw', predictor: 'horizontal' }).toBuffer(),
    opaque().tiff({ compression: 'jpeg', tile: true, tileWidth: 16, tileHeight: 16 }).toBuffer(),
    opaque().tiff({ compression: 'deflate', pyramid: true, bigtiff: true }).toBuffer(),
    opaque().toColourspace('rgb16').tiff({ compression: 'lzw' }).toBuffer(),
    opaque().toColourspace('cmyk').tiff({ compression: 'lzw' }).toBuffer(),
    opaque().toColourspace('b-w').tiff({ bitdepth: 1, compression: 'none' }).toBuffer(),
    opaque().avif({ effort: 0 }).toBuffer(),
    picture(1).avif({ effort: 0, lossless: true }).toBuffer(),
    ...oddSeeds(),
  ]);

/** Pictures whose samples or colours are rarely seen: deep ones with a profile, those with few bits, floating-point numbers. */
const oddSeeds = (): Promise<Buffer>[] => {
  const odd = (name: string) => readFile(packagePath('test', 'data', 'odd', name));
  const deep = () => picture(1).toColourspace('rgb16').withIccProfile('p3');
  return [
    odd('grey-of-16-bits-with-profile.png'),
    odd('float32.tif'),
    deep().png({ progressive: true }).toBuffer(),
    deep().tiff({ compression: 'lzw' }).toBuffer(),
    deep().removeAlpha().withMetadata({ orientation: 5 }).tiff({ compression: 'none' }).toBuffer(),
    picture(1).greyscale().png().toBuffer(),
    picture(1).png({ palette: true, colours: 16 }).toBuffer(),
    opaque().greyscale().png({ palette: true, colours: 2 }).toBuffer(),
    opaque().withIccProfile('p3').avif({ effort: 0 }).toBuffer(),
    opaque().withIccProfile('p3').webp({ lossless: true }).toBuffer(),
  ];
};

/** Features of the model that ships, in every format that is read. */
export function featureSeeds(): Buffer[] {
  const random = seeded(5);
  const features = (count: number): Tensor<'float32'> =>
    tensor(
      'float32',
      [count, 256, 2, 2],
      Float32Array.from({ length: count * 1024 }, () => random() - 0.5),
    );
  const [one, three] = [features(1), features(3)];
  const safetensors = (tensors: Record<string, Tensor>) =>
    Buffer.concat(
      writeSafetensors({ tensors: new Map(Object.entries(tensors)), metadata: { model: 'fashion-mnist' } }),
    );
  const json = ({ dims, data }: Tensor) => Buffer.from(JSON.stringify({ shape: dims, data: Array.from(data, Number) }));
  return [
    Buffer.concat(writeNpy(one)),
    Buffer.concat(writeNpy(three)),
    npyOf("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 256, 2, 2), }", bytesOf(one)),
    safetensors({ features: one }),
    safetensors({ features: three, other: tensor('uint8', [3], [1, 2, 3]) }),
    besideHalf(one),
    npyOf("{'descr': 'f4', 'fortran_order': False, 'shape': (1L, 256L, 2L, 2L), }", bytesOf(one)),
    npyOf('{"descr": "=f4", "fortran_order": False, "shape": (1, 256, 2, 2)}', bytesOf(one)),
    json(one),
    Buffer.from(`\ufeff${json(one)}`),
    Buffer.from(`\ufeff${json(one)}`, 'utf16le'),
    nested(one),
    Buffer.from(`{"data": ${nested(three)}}`),
    json({ ...one, data: one.data.map((v) => Math.round(4 * v)) }),
  ];
}

/** Features beside a tensor of a type that is not read. */
const besideHalf = ({ dims, data }: Tensor): Buffer => {
  const features = { name: 'features', dtype: 'F32', shape: dims, bytes: data.byteLength };
  const half = { name: 'half', dtype: 'F16', shape: [4], bytes: 8 };
  return Buffer.concat([...safetensorsHeader([half, features], {}), Buffer.alloc(8), Buffer.from(data.buffer)]);
};

/** Lists in lists, as NumPy's `tolist()` gives them. */
function nested({ dims, data }: Tensor): Buffer {
  const lists = dims.slice(1).reduceRight<unknown[]>((list, size) => grouped(list, size), Array.from(data, Number));
  return Buffer.from(JSON.stringify(lists));
}

const grouped = <T>(list: readonly T[], size: number): T[][] =>
  Array.from({ length: list.length / size }, (_, i) => list.slice(i * size, (i + 1) * size));

function npyOf(header: string, data: Uint8Array): Buffer {
  const text = Buffer.from(`${header.padEnd(117)}\n`);
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\0v\0', 'latin1'), text, data]);
}

import sharp from 'sharp';
import t, { type Test } from 'tap';
import { MAX_JSON_NUMBERS, toJson } from '../../../export/formats/json.js';
import { checkFinite, readTensor } from '../../../export/formats/read.js';
import { writeSafetensors } from '../../../export/formats/safetensors.js';
import { type Tensor, tensor } from '../../../export/graph/tensor.js';
import { Problem, type ProblemCode, problemFrom, problems } from '../../../src/common/problems.js';
import { prepareImage } from '../../../src/images/prepare.js';
import { decodeFormats } from '../../../src/operations/formats.js';
import { safetensors } from '../../helpers/checkpoints.js';
import { cmykJpeg, profileOf, withProfile } from '../../helpers/colours.js';
import {
  blackIdat,
  compressedChunk,
  exifOf,
  gifOf,
  greyPage,
  pngChunk,
  pngOf,
  scansOf,
  tiffOf,
  withExif,
  zeros,
} from '../../helpers/hostile.js';
import { rectangle } from '../../helpers/images.js';

const text = (s: string): Buffer => Buffer.from(s, 'latin1');

/** A .npy file of any header. */
const npy = (header: string, data: Uint8Array = Buffer.alloc(0), version = 1): Buffer => {
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) length.writeUInt16LE(header.length);
  else length.writeUInt32LE(header.length);
  return Buffer.concat([text(`\x93NUMPY${String.fromCharCode(version)}\0`), length, text(header), data]);
};
const shaped = (shape: string, descr = "'<f4'", order = 'False') =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;

const f32 = (shape: readonly number[], ...offsets: number[]) => ({ dtype: 'F32', shape, data_offsets: offsets });
const raw = (header: string, data = Buffer.alloc(0)): Buffer => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, text(header), data]);
};
const eight = Buffer.alloc(8);

/** Files of features that no program writes, and what they are refused for. */
const refused: Readonly<Record<string, readonly [ProblemCode, Buffer]>> = {
  'a header of 4 GiB': ['features-malformed', npy('', text('\xff\xff\xff\xff'), 2).copyWithin(8, 12)],
  'a header just too long': ['features-malformed', npy(shaped('(1,)').padEnd(65537), eight.subarray(4), 2)],
  'a product beyond 2⁵³': ['features-length', npy(shaped('(3037000500, 3037000500)'))],
  'a size beyond 2⁵³ beside 0': ['features-length', npy(shaped('(0, 9007199254740993)'))],
  'a size that is infinite': ['features-length', npy(shaped(`(0, 1${'0'.repeat(400)})`))],
  'a product that wraps round at 2³²': ['features-length', npy(shaped('(65536, 65537)'), Buffer.alloc(65536 * 4))],
  'a negative size': ['features-malformed', npy(shaped('(-1,)'))],
  'a size that is no number': ['features-malformed', npy(shaped('(1 2, 3)'), Buffer.alloc(12))],
  'too many axes': ['features-rank', npy(shaped(`(${'1, '.repeat(9)})`), eight.subarray(4))],
  '30,000 axes in Fortran order': ['features-rank', npy(shaped(`(${'1,'.repeat(30_000)})`, "'<f4'", 'True'), eight)],
  objects: ['features-dtype', npy(shaped('(1,)', "'|O'"), text('\x80\x04cos\nsystem\n'))],
  records: ['features-dtype', npy(shaped('(1,)', "[('a', '<f4')]"), eight)],
  'big-endian': ['features-byte-order', npy(shaped('(2,)', "'>f4'"), eight)],
  'big-endian doubles': ['features-dtype', npy(shaped('(1,)', "'>f8'"), eight)],
  'an unknown version': ['features-malformed', npy(shaped('(2,)'), eight, 4)],

  'a header longer than features need': ['features-malformed', safetensors({ features: 'x'.repeat(65536) }, eight)],
  'a header of 2⁶³ bytes': ['features-malformed', Buffer.concat([text('\0\0\0\0\0\0\0\x80'), text('{}')])],
  'a name twice': [
    'features-malformed',
    raw('{"features":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"features":{}}', eight),
  ],
  'a member twice': [
    'features-malformed',
    raw('{"features":{"dtype":"F16","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', eight),
  ],
  'a nested header': ['features-malformed', raw(`{"a":${'['.repeat(9000)}${']'.repeat(9000)}}`)],
  'metadata that are no texts': ['features-malformed', safetensors({ __metadata__: { a: 1 } }, Buffer.alloc(0))],
  'tensors that overlap': ['features-length', safetensors({ features: f32([1], 0, 4), b: f32([1], 0, 4) }, eight)],
  'tensors with a gap': ['features-length', safetensors({ features: f32([1], 0, 4), b: f32([0], 8, 8) }, eight)],
  'a tensor that begins late': ['features-length', safetensors({ a: f32([1], 4, 8) }, eight)],
  'bytes behind the tensors': ['features-length', safetensors({ a: f32([1], 0, 4) }, eight)],
  'a product that is not safe': ['features-length', safetensors({ a: f32([2 ** 30, 2 ** 30], 0, 8) }, eight)],
  'a size that is not safe': ['features-malformed', safetensors({ a: f32([0, 2 ** 60], 0, 0) }, Buffer.alloc(0))],
  'negative offsets': ['features-length', safetensors({ a: f32([2], -8, 0) }, eight)],
  'offsets the wrong way': ['features-length', safetensors({ a: f32([2], 8, 0) }, eight)],
  'nine axes': ['features-rank', safetensors({ a: f32(Array(9).fill(1), 0, 4) }, eight.subarray(4))],
  bfloat16: ['features-dtype', safetensors({ a: { dtype: 'BF16', shape: [4], data_offsets: [0, 8] } }, eight)],
  'a name from Object': ['features-dtype', safetensors({ a: { dtype: 'toString', shape: [] } }, eight)],
  'no object for a tensor': ['features-dtype', raw('{"features":null}')],

  'a bomb of brackets': ['features-malformed', text(`{"shape": [1], "data": ${'['.repeat(1e7)}`)],
  'a closed bomb of brackets': ['features-malformed', text(`{"shape": [1], "data": ${nested(1e6)}}`)],
  'lists within what is parsed': ['features-rank', text(`{"shape": [1], "data": [${nested(14)}]}`)],
  'an object for a number': ['features-dtype', text('{"shape": [1], "data": [{"a": 1}]}')],
  'too many numbers': ['json-too-large', text(`{"shape": [1], "data": [${'0,'.repeat(MAX_JSON_NUMBERS)}0]}`)],
  'a list of empty lists elsewhere': ['features-malformed', text(`{"x": [${'[],'.repeat(2 * MAX_JSON_NUMBERS)}0]}`)],
  'too many bytes': ['json-too-large', Buffer.alloc(32 * MAX_JSON_NUMBERS + 1, '{')],
  'a negative size in JSON': ['features-malformed', text('{"shape": [-1], "data": [1]}')],
  'a fraction as size': ['features-malformed', text('{"shape": [0.5], "data": [1]}')],
  'a size that is not safe in JSON': ['features-malformed', text('{"shape": [0, 1e300], "data": []}')],
  'blanks alone': ['features-malformed', Buffer.alloc(1e6, ' ')],
  null: ['features-malformed', text('null')],
};

function nested(depth: number): string {
  return `${'['.repeat(depth)}${']'.repeat(depth)}`;
}

/** The problem that a client is told of. */
function problemOf(run: () => unknown): Problem | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return problemFrom(error);
  }
}

t.test('features that claim what they are not', async (t) => {
  for (const [name, [code, file]] of Object.entries(refused)) {
    const problem = problemOf(() => readTensor(file));
    t.equal(problem?.code, code, name);
    t.ok(problem && problem.message.length > 0 && problem.message.length < 500, `${name}: ${problem?.message}`);
  }
});

t.test('odd features that are in order', async (t) => {
  const numbers = Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
  const read: Readonly<Record<string, Buffer>> = {
    'version 3': npy(shaped('(2, 3)'), numbers, 3),
    'the longest header': npy(shaped('(2, 3)').padEnd(65535), numbers),
    'no blanks': npy("{'shape':(2,3),'fortran_order':False,'descr':'<f4'}", numbers),
    'other tensors around': Buffer.concat(
      writeSafetensors({
        tensors: new Map<string, Tensor>([
          ['a', tensor('uint8', [3], [1, 2, 3])],
          ['features', tensor('float32', [2, 3], [1, 2, 3, 4, 5, 6])],
          ['__proto__', tensor('float32', [0, 7], [])],
        ]),
        metadata: { 'a:b"': '",:{[' },
      }),
    ),
    'other members, and names from Object': text(
      '{"__proto__": {"shape": 1}, "constructor": ["}"], "data": [1, 2, 3, 4, 5, 6e0], "shape": [2, 3]}',
    ),
  };
  for (const [name, file] of Object.entries(read)) {
    const { dims, data } = readTensor(file);
    t.same(
      [dims, Array.from(data)],
      [
        [2, 3],
        [1, 2, 3, 4, 5, 6],
      ],
      name,
    );
  }
  const most = { shape: [MAX_JSON_NUMBERS], data: Array.from({ length: MAX_JSON_NUMBERS }, () => 0.5) };
  t.equal(readTensor(text(JSON.stringify(most))).data.length, MAX_JSON_NUMBERS);
});

t.test('numbers that are none are found wherever they are', async (t) => {
  for (const [value, code] of [
    [Number.NaN, 'features-nan'],
    [Number.POSITIVE_INFINITY, 'features-infinite'],
    [Number.NEGATIVE_INFINITY, 'features-infinite'],
  ] as const) {
    for (const place of [0, 1, 11]) {
      const features = tensor('float32', [3, 1, 2, 2], new Float32Array(12));
      features.data[place] = value;
      t.match(
        problemOf(() => checkFinite(features.data)),
        { code },
      );
    }
  }
});

t.test('no more goes out as JSON than comes in', async (t) => {
  const half = MAX_JSON_NUMBERS / 2;
  const image = tensor('float32', [1, half], new Float32Array(half));
  const pixels = (n: number) => tensor('uint8', [1, n], new Uint8Array(n));
  t.match(
    problemOf(() => toJson(pixels(MAX_JSON_NUMBERS + 1))),
    { code: 'json-too-large' },
  );
  const over = { model: 'a', image, pixels: pixels(half + 1) };
  t.match(
    problemOf(() => decodeFormats.json(over)),
    { code: 'json-too-large' },
  );
  t.equal(decodeFormats.json({ model: 'a', image, pixels: pixels(half) }).image.data.length, half);
});

const jpeg = await rectangle(60, 40, [250, 250, 250], [20, 40, 60]).jpeg().toBuffer();
const avif = await rectangle(64, 64, [9, 9, 9], [200, 40, 60]).avif({ effort: 0 }).toBuffer();
const webp = await rectangle(60, 40, [9, 9, 9], [200, 40, 60]).webp().toBuffer();
const png = pngOf({}, blackIdat());
const tiff = tiffOf(Buffer.alloc(784), [greyPage(28, 28, 784)]);

const patched = (file: Buffer, place: number, bytes: string): Buffer => {
  const copy = Buffer.from(file);
  copy.write(bytes, place, 'latin1');
  return copy;
};
const pages = (count: number, after?: number) =>
  tiffOf(Buffer.alloc(784), Array(count).fill(greyPage(28, 28, 784)), after);
const [WIDTH, HEIGHT] = [0, 1];
const wideTiff = tiffOf(Buffer.alloc(784), [
  greyPage(28, 28, 784).map((entry, i) => (i === WIDTH || i === HEIGHT ? [entry[0], 4, 1, 100_000] : entry)),
]);

/** Image files, and what becomes of them: what is done to them, or the code of the error. */
const images: Readonly<Record<string, readonly [string | ProblemCode, Buffer | Promise<Buffer>]>> = {
  // Sizes that are only claimed.
  'PNG of 50,000²': ['too-many-pixels', pngOf({ width: 50_000, height: 50_000 }, pngChunk('IDAT', zeros(1e6)))],
  'PNG of 2³¹ pixels a side': ['image-corrupt', pngOf({ width: 2 ** 31 - 1, height: 2 ** 31 - 1 }, blackIdat())],
  'PNG without pixels': ['image-corrupt', pngOf({ width: 0 }, blackIdat())],
  'GIF of 65,535², its frame of 1': ['resized', gifOf(65_535, 65_535, 1)],
  'GIF whose frame has 65,535²': ['too-many-pixels', patched(gifOf(28, 28, 1), 24, '\xff\xff\xff\xff')],
  'GIF without pixels': ['resized', gifOf(0, 0, 1)],
  'TIFF of 100,000²': ['too-many-pixels', wideTiff],
  'AVIF of 60,000²': ['too-many-pixels', patched(avif, avif.indexOf('ispe') + 8, '\0\0\xea\x60\0\0\xea\x60')],
  'AVIF larger than its image': [
    'image-truncated',
    patched(avif, avif.indexOf('ispe') + 8, '\0\0\x03\xe8\0\0\x03\xe8'),
  ],
  'WebP of 16,383²': [
    'too-many-pixels',
    patched(webp, webp.indexOf('\x9d\x01\x2a', 0, 'latin1') + 3, '\xff\x3f\xff\x3f'),
  ],
  'TIFF of 65,536 channels': ['image-type-unsupported', patched(tiff, 8 + 784 + 2 + 6 * 12 + 8, '\xff\xff')],
  '60,000 × 1': ['resized,padded', pngOf({ width: 60_000, height: 1 }, blackIdat(60_000, 1))],
  '1 × 60,000': ['resized,padded', pngOf({ width: 1, height: 60_000 }, blackIdat(1, 60_000))],
  // Bytes that become many.
  'IDAT that goes on for 256 MiB': ['', pngOf({}, pngChunk('IDAT', zeros(2 ** 28)))],
  'zTXt of 256 MiB': ['', pngOf({}, compressedChunk('zTXt', zeros(2 ** 28)), blackIdat())],
  '500 zTXt of 7 MiB': ['', pngOf({}, ...Array(500).fill(compressedChunk('zTXt', zeros(7 * 2 ** 20))), blackIdat())],
  'iCCP of 256 MiB': ['', pngOf({}, compressedChunk('iCCP', zeros(2 ** 28)), blackIdat())],
  'TIFF strip that goes on for 64 MiB': [
    '',
    (() => {
      const strip = zeros(2 ** 26);
      return tiffOf(strip, [greyPage(28, 28, strip.length).map((e) => (e[0] === 259 ? [259, 3, 1, 8] : e))]);
    })(),
  ],
  'JPEG of 800 scans': ['image-corrupt', scansOf(1000, 800)],
  'JPEG of 800 scans, behind markers without a length': ['image-corrupt', scansOf(1000, 800, text('\xff\x01\xff\xff'))],
  'JPEG of 90 scans': ['resized,inverted', scansOf(1000, 90)],
  // Many images in one.
  'GIF of 5,000 frames': ['', gifOf(28, 28, 5000)],
  'TIFF of 2,000 pages': ['', pages(2000)],
  'TIFF whose pages go round': ['', pages(3, 0)],
  'TIFF whose only page follows itself': ['', pages(1, 0)],
  // Two files in one.
  'PNG before a ZIP': ['', Buffer.concat([png, text('PK\x03\x04'), Buffer.alloc(3000, 7)])],
  'PNG before HTML': ['', Buffer.concat([png, text('<html><script>alert(1)</script></html>')])],
  'JPEG that begins with GIF89a': ['image-corrupt', Buffer.concat([text('GIF89a'), jpeg])],
  'JPEG before a JPEG': ['resized,greyed,inverted,padded', Buffer.concat([jpeg, jpeg])],
  'PNG behind HTML': ['not-an-image', Buffer.concat([text('<html>'), png])],
  // Odd, and in order.
  'JPEG of inks': [
    'resized,greyed',
    cmykJpeg(60, 60, [
      [9, 9, 9, 200],
      [0, 0, 0, 255],
      [0, 90, 0, 255],
      [0, 0, 0, 255],
    ]),
  ],
  'PNG of 16 bits, interlaced': ['', pngOf({ depth: 16, interlace: 1 }, pngChunk('IDAT', zeros(28 * 56 + 60)))],
  'PNG with a palette it lacks': ['image-corrupt', pngOf({ colour: 3 }, blackIdat())],
  'PNG with a profile that is none': ['', withProfile(png, Buffer.alloc(5000, 0xa5))],
  'PNG with half a profile': ['', profileOf('p3').then((p) => withProfile(png, p.subarray(0, p.length / 2)))],
  'PNG with 2 MiB of EXIF': ['', pngOf({}, pngChunk('eXIf', exifOf(1, 2 ** 21)), blackIdat())],
  ...Object.fromEntries(
    [0, 9, 255, 65_535].map((n) => [
      `JPEG with orientation ${n}`,
      ['resized,greyed,inverted,padded', withExif(jpeg, exifOf(n))],
    ]),
  ),
  'JPEG with orientation 6, and the most EXIF': [
    'rotated,resized,greyed,inverted,padded',
    withExif(jpeg, exifOf(6, 65_000)),
  ],
};

/** What is done to an image on its way to a small grey network, or why it is refused. */
async function outcome(file: Uint8Array): Promise<string> {
  try {
    const { done } = await prepareImage(
      file,
      {
        input: { height: 28, width: 28, channels: 1, mean: [0], std: [1] },
        preprocessing: { fit: 'contain', polarity: 'light-on-dark' },
      },
      { invert: 'auto', maxPixels: 5e7 },
    );
    return done.join();
  } catch (error) {
    return error instanceof Problem && problems[error.code].status < 500 ? error.code : String(error);
  }
}

const peak = (): number => process.resourceUsage().maxRSS / 1024;

async function becomes(t: Test, all: typeof images): Promise<void> {
  for (const [name, [expected, file]] of Object.entries(all)) t.equal(await outcome(await file), expected, name);
}

t.test('images that claim, hide or repeat what they should not end in an answer, in little memory', async (t) => {
  await Promise.all(Object.values(images).map(([, file]) => file));
  const before = peak();
  await becomes(t, images);
  const grown = peak() - before;
  t.ok(grown < 300, `${Math.round(grown)} MiB more at the most than ${before}`);
});

t.test('images that end anywhere are refused or shown, and nothing else', async (t) => {
  const files = { png: pngOf({}, blackIdat()), tiff, gif: gifOf(28, 28, 3), webp, avif, jpeg, scans: scansOf(64, 20) };
  for (const [name, file] of Object.entries(files)) {
    const ends = new Set<string>();
    for (let length = 0; length < file.length; length += Math.ceil(file.length / 60)) {
      ends.add(await outcome(file.subarray(0, length)));
    }
    const codes = [...ends].filter((end) => !/^(resized|greyed|inverted|padded|,)*$/.test(end));
    const expected = ['body-empty', 'image-corrupt', 'image-truncated', 'not-an-image'];
    t.same(
      codes.filter((code) => !expected.includes(code)),
      [],
      name,
    );
    const told = codes.includes('image-truncated');
    t.equal(told, ['gif', 'avif', 'jpeg', 'scans'].includes(name), `${name}: ${codes}`);
  }
});

t.test('noise in an image is refused or shown', async (t) => {
  const files = [png, tiff, webp, avif, jpeg, scansOf(64, 20), await sharp(jpeg).gif().toBuffer()];
  for (const file of files) {
    for (let n = 0; n < 60; n++) {
      const noisy = Buffer.from(file);
      for (let k = 0; k < 3; k++) noisy[(n * 7919 + k * 104_729) % file.length] = (n * 31 + k * 97) & 255;
      const end = await outcome(noisy);
      t.ok(end in problems || /^(rotated|resized|greyed|inverted|padded|flattened|,)*$/.test(end), end);
    }
  }
});

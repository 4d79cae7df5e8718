import { crc32, deflateSync, inflateSync } from 'node:zlib';
import type { Random } from '../../export/data/random.js';

/** A whole number from `from` to `to`, without `to`. */
export const between = (random: Random, from: number, to: number): number => from + Math.floor(random() * (to - from));
export const pick = <T>(random: Random, list: readonly T[]): T => list[between(random, 0, list.length)]!;
export const chance = (random: Random, share: number): boolean => random() < share;

/** Changes bytes; `other` is another valid input. */
type Mutation = (bytes: Buffer, random: Random, other: Buffer) => Buffer;

/** A position; the first 128 bytes, where headers are, are hit more often. */
const place = (random: Random, length: number): number =>
  between(random, 0, chance(random, 0.3) ? Math.min(length, 128) : length);

const noise = (random: Random): Buffer =>
  Buffer.from(Array.from({ length: between(random, 1, 65) }, () => between(random, 0, 256)));

const flipBits: Mutation = (bytes, random) => {
  for (let n = between(random, 1, 9); n > 0; n--) {
    const at = place(random, bytes.length);
    bytes[at] = bytes[at]! ^ (1 << between(random, 0, 8));
  }
  return bytes;
};

/** Puts nothing, noise, one value or a part of the bytes, several times, in the place of up to 64 bytes, or between two. */
const replace: Mutation = (bytes, random) => {
  const at = place(random, bytes.length);
  const end = chance(random, 0.3) ? at : at + between(random, 1, 65);
  const part = bytes.subarray(at, at + between(random, 1, 257));
  const value = pick(random, [0, 0xff, between(random, 0, 256)]);
  const put = pick(random, [
    Buffer.alloc(0),
    noise(random),
    Buffer.alloc(end - at, value),
    Buffer.concat([part, part, part]),
  ]);
  return Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(end)]);
};

const truncate: Mutation = (bytes, random) => bytes.subarray(0, place(random, bytes.length));

const splice: Mutation = (bytes, random, other) =>
  Buffer.concat([bytes.subarray(0, place(random, bytes.length)), other.subarray(place(random, other.length))]);

/** Writes a limit of a binary field, or the size of the file. */
const editField: Mutation = (bytes, random) => {
  if (bytes.length < 8) return bytes;
  const size = bytes.length;
  const value = pick(random, [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, size, size + 1]);
  const at = Math.min(place(random, size), size - 4);
  const write = pick(random, ['writeUInt16BE', 'writeUInt16LE', 'writeUInt32BE', 'writeUInt32LE'] as const);
  bytes[write](write.includes('16') ? value & 0xffff : value, at);
  return bytes;
};

const numbers = [
  '0',
  '-1',
  '4294967296',
  '9007199254740993',
  '1e308',
  '1e400',
  '-0',
  '0.5',
  '00',
  'NaN',
  'null',
  '""',
  '',
];

/** Writes another number in the place of one in decimal digits. */
const editNumber: Mutation = (bytes, random) => {
  const text = bytes.toString('latin1');
  const found = [...text.slice(0, 4096).matchAll(/-?\d+(\.\d+)?/g)];
  if (found.length === 0) return bytes;
  const { index, 0: digits } = pick(random, found);
  return Buffer.from(text.slice(0, index) + pick(random, numbers) + text.slice(index + digits.length), 'latin1');
};

const mutations: readonly Mutation[] = [flipBits, replace, replace, replace, truncate, splice, editField, editNumber];

/** A copy of the bytes with one to four changes, most often one. */
export function mutate(bytes: Uint8Array, random: Random, other: Uint8Array = bytes): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  for (let n = chance(random, 0.6) ? 1 : between(random, 2, 5); n > 0 && changed.length > 0; n--) {
    changed = pick(random, mutations)(changed, random, Buffer.from(other));
  }
  return changed;
}

const SIGNATURE = 8;

export const isPng = (file: Buffer): boolean => file.subarray(1, 4).equals(Buffer.from('PNG'));

/**
 * A PNG in which one chunk is damaged, missing or repeated. Its checksums are right: otherwise the decoder would refuse most
 * damage before it reads the chunk.
 */
export function damagedPng(png: Buffer, random: Random): Buffer {
  const chunks: Buffer[] = [];
  for (let at = SIGNATURE; at < png.length; ) {
    const end = at + 12 + png.readUInt32BE(at);
    chunks.push(png.subarray(at + 4, end - 4));
    at = end;
  }
  const chosen = between(random, 0, chunks.length);
  const copies = chance(random, 0.1) ? pick(random, [0, 2]) : 1;
  chunks.splice(chosen, 1, ...Array<Buffer>(copies).fill(damaged(chunks[chosen]!, random)));
  return Buffer.concat([png.subarray(0, SIGNATURE), ...chunks.map(withLengthAndChecksum)]);
}

/** A chunk, type and data, with other data; that of pixels is inflated before. */
function damaged(chunk: Buffer, random: Random): Buffer {
  if (chance(random, 0.1)) return mutate(chunk, random);
  const [type, data] = [chunk.subarray(0, 4), chunk.subarray(4)];
  try {
    const isPixels = type.equals(Buffer.from('IDAT')) && chance(random, 0.7);
    return Buffer.concat([type, isPixels ? deflateSync(mutate(inflateSync(data), random)) : mutate(data, random)]);
  } catch {
    // Pixels in several chunks cannot be inflated one by one.
    return Buffer.concat([type, mutate(data, random)]);
  }
}

function withLengthAndChecksum(chunk: Buffer): Buffer {
  const framed = Buffer.alloc(chunk.length + 8);
  framed.writeUInt32BE(Math.max(0, chunk.length - 4));
  chunk.copy(framed, 4);
  framed.writeUInt32BE(crc32(chunk), chunk.length + 4);
  return framed;
}

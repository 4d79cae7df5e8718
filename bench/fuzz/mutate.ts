import type { Random } from '../../export/data/random.js';

/** A whole number from `from` to `to`, without the latter. */
export const between = (random: Random, from: number, to: number): number => from + Math.floor(random() * (to - from));
export const pick = <T>(random: Random, list: readonly T[]): T => list[between(random, 0, list.length)]!;
export const chance = (random: Random, share: number): boolean => random() < share;

/** A change to bytes; `other` is another input of the same kind. */
type Mutation = (bytes: Buffer, random: Random, other: Buffer) => Buffer;

/** Beginnings, where headers are, are hit more often than the rest. */
const place = (random: Random, length: number): number =>
  between(random, 0, chance(random, 0.3) ? Math.min(length, 128) : length);

const flipBits: Mutation = (bytes, random) => {
  for (let n = between(random, 1, 9); n > 0; n--) {
    const at = place(random, bytes.length);
    bytes[at] = bytes[at]! ^ (1 << between(random, 0, 8));
  }
  return bytes;
};

const overwrite: Mutation = (bytes, random) => {
  const at = place(random, bytes.length);
  const value = pick(random, [0, 0xff, between(random, 0, 256)]);
  return bytes.fill(value, at, Math.min(bytes.length, at + between(random, 1, 65)));
};

const scramble: Mutation = (bytes, random) => {
  const at = place(random, bytes.length);
  for (let i = at; i < Math.min(bytes.length, at + 32); i++) bytes[i] = between(random, 0, 256);
  return bytes;
};

const truncate: Mutation = (bytes, random) => bytes.subarray(0, place(random, bytes.length));

const insert: Mutation = (bytes, random) => {
  const at = place(random, bytes.length);
  const run = Buffer.from(Array.from({ length: between(random, 1, 65) }, () => between(random, 0, 256)));
  return Buffer.concat([bytes.subarray(0, at), run, bytes.subarray(at)]);
};

const remove: Mutation = (bytes, random) => {
  const at = place(random, bytes.length);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + between(random, 1, 65))]);
};

const repeat: Mutation = (bytes, random) => {
  const at = place(random, bytes.length);
  const run = bytes.subarray(at, at + between(random, 1, 257));
  return Buffer.concat([bytes.subarray(0, at), run, run, run, bytes.subarray(at)]);
};

const splice: Mutation = (bytes, random, other) =>
  Buffer.concat([bytes.subarray(0, place(random, bytes.length)), other.subarray(place(random, other.length))]);

/** Numbers at the edges of what a field can hold, and of the size of the file. */
const editLength: Mutation = (bytes, random) => {
  if (bytes.length < 8) return bytes;
  const value = pick(random, [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fffffff,
    0xffffffff,
    bytes.length,
    bytes.length + 1,
  ]);
  const at = Math.min(place(random, bytes.length), bytes.length - 4);
  const write = pick(random, ['writeUInt16BE', 'writeUInt16LE', 'writeUInt32BE', 'writeUInt32LE'] as const);
  bytes[write](write.includes('16') ? value & 0xffff : value, at);
  return bytes;
};

const numbers = [
  '0',
  '-1',
  '1',
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
];

/** Puts another number, or none, in the place of one that is written in digits. */
const editNumber: Mutation = (bytes, random) => {
  const text = bytes.toString('latin1');
  const found = [...text.slice(0, 4096).matchAll(/-?\d+(\.\d+)?/g)];
  if (found.length === 0) return bytes;
  const { index, 0: digits } = pick(random, found);
  const other = text.slice(0, index) + pick(random, numbers) + text.slice(index + digits.length);
  return Buffer.from(other, 'latin1');
};

const mutations: readonly Mutation[] = [
  flipBits,
  overwrite,
  scramble,
  truncate,
  insert,
  remove,
  repeat,
  splice,
  editLength,
  editNumber,
];

/** A copy of bytes with one to four changes, most often one. */
export function mutate(bytes: Uint8Array, random: Random, other: Uint8Array = bytes): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  for (let n = chance(random, 0.6) ? 1 : between(random, 2, 5); n > 0 && changed.length > 0; n--) {
    changed = pick(random, mutations)(changed, random, Buffer.from(other));
  }
  return changed;
}

import { crc32, deflateSync, inflateSync } from 'node:zlib';
import type { Random } from '../../export/data/random.js';
import { chance, mutate, pick } from './mutate.js';

// Most damage to a PNG ends at a wrong sum. Here chunks are damaged whose sums are right.

const SIGNATURE = 8;

interface Chunk {
  readonly type: Buffer;
  readonly data: Buffer;
}

function chunksOf(png: Buffer): Chunk[] {
  const chunks: Chunk[] = [];
  for (let at = SIGNATURE; at < png.length; ) {
    const end = at + 8 + png.readUInt32BE(at);
    chunks.push({ type: png.subarray(at + 4, at + 8), data: png.subarray(at + 8, end) });
    at = end + 4;
  }
  return chunks;
}

function written({ type, data }: Chunk): Buffer {
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(Buffer.concat([type, data])));
  return Buffer.concat([length, type, data, sum]);
}

/** A whole PNG in which one chunk is damaged, or left out, or comes twice, or holds other lines. */
export function damagedPng(png: Buffer, random: Random): Buffer {
  const chunks = chunksOf(png);
  const chosen = pick(random, chunks);
  const others = chunks.map((chunk) => (chunk === chosen ? damaged(chunk, random) : [chunk]));
  return Buffer.concat([png.subarray(0, SIGNATURE), ...others.flat().map(written)]);
}

function damaged(chunk: Chunk, random: Random): Chunk[] {
  if (chance(random, 0.1)) return [];
  if (chance(random, 0.1)) return [chunk, chunk];
  if (chance(random, 0.1)) return [{ ...chunk, type: mutate(chunk.type, random).subarray(0, 4) }];
  const isLines = chunk.type.equals(Buffer.from('IDAT')) && chance(random, 0.7);
  return [{ ...chunk, data: isLines ? otherLines(chunk.data, random) : mutate(chunk.data, random) }];
}

/** Files whose lines are spread over several chunks are damaged as they are. */
function otherLines(data: Buffer, random: Random): Buffer {
  try {
    return deflateSync(mutate(inflateSync(data), random));
  } catch {
    return mutate(data, random);
  }
}

export const isPng = (file: Buffer): boolean => file.subarray(1, 4).equals(Buffer.from('PNG'));

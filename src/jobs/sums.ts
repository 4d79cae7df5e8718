import { headerLength, parseHeader, safetensorsHeader } from '../../export/formats/safetensors.js';
import type { Moments } from './moments.js';

// Moments as files: float64 arrays in safetensors.

type Doubles = Readonly<Record<string, { readonly shape: readonly number[]; readonly data: Float64Array }>>;

const bytesOf = (data: Float64Array) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

export function writeDoubles(arrays: Doubles, metadata: Readonly<Record<string, string>>): Uint8Array {
  const described = Object.entries(arrays).map(([name, { shape, data }]) => ({
    name,
    dtype: 'F64',
    shape,
    bytes: data.byteLength,
  }));
  return Buffer.concat([
    ...safetensorsHeader(described, metadata),
    ...Object.values(arrays).map(({ data }) => bytesOf(data)),
  ]);
}

/** The exact sums of a shard, to be merged. */
export function writeSums({ channels, images, outside, sums, high, low }: Moments): Uint8Array {
  const pairs = [high.length];
  return writeDoubles(
    { sums: { shape: [channels], data: sums }, high: { shape: pairs, data: high }, low: { shape: pairs, data: low } },
    { images: String(images), outside: String(outside) },
  );
}

/** Reads what `writeSums` wrote; its hash has been checked. */
export function readSums(file: Uint8Array): Moments {
  const start = 8 + headerLength(file, file.length);
  const { entries, metadata } = parseHeader(file.subarray(8, start));
  const data = new Float64Array(new Uint8Array(file.subarray(start)).buffer);
  const lengths = entries.map(([, entry]) => (entry as { shape: [number] }).shape[0]);
  const [channels, pairs] = lengths as [number, number, number];
  return {
    channels,
    images: Number(metadata.images),
    outside: Number(metadata.outside),
    sums: data.subarray(0, channels),
    high: data.subarray(channels, channels + pairs),
    low: data.subarray(channels + pairs),
  };
}

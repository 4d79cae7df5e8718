import { input } from '../../export/graph/graph.js';
import { matmul } from '../../export/graph/ops/matmul.js';
import { transpose } from '../../export/graph/ops/movement.js';
import { sizeOf, tensor } from '../../export/graph/tensor.js';
import { emitInline } from '../../export/model/graphs.js';
import { openSession } from '../../export/runtime/session.js';

// Averages are whole multiples of 2^-16 here, so their sums and the sums of their products are whole numbers, and each step
// below is exact: a sum in float64 as long as it stays under 2^53, carried into a second word before it could leave that.
// Exact sums do not depend on the order of what is added. That is why shards can be merged in any order, and why the bytes of
// the result are the same however a job was cut and whatever was done again.

/** Averages are rounded to multiples of 2^-16, which adds 2^-32 / 12 to a variance. */
const UNIT = 2 ** 16;
/** Units beyond which an average is not taken in (256): the products of a group then stay exact. */
const LARGEST = 2 ** 24;
/** Images whose products can be summed at once, however large: GROUP · LARGEST² and a word stay under 2^53. */
const GROUP = 16;
const WORD = 2 ** 32;
const EXACT = 2 ** 53;

/** Sums over images: of the features of each, averaged over their places, and of their products by pairs of channels. */
export interface Moments {
  readonly channels: number;
  readonly images: number;
  /** Images left out, an average of theirs being beyond ±256. */
  readonly outside: number;
  /** In units, float64 [C]. */
  readonly sums: Float64Array;
  /** In units², of pairs of channels i ≤ j, row by row: high · 2^32 + low, 0 ≤ low < 2^32. */
  readonly high: Float64Array;
  readonly low: Float64Array;
}

export interface MomentsBuilder {
  /** Takes in features, float32 [N, C, H, W]. */
  add(features: Float32Array): Promise<void>;
  /** All that was taken in; nothing is taken in afterwards. */
  finish(): Promise<Moments>;
}

/** @param shape of the features of an image, [C, H, W] */
export async function openMoments(shape: readonly number[]): Promise<MomentsBuilder> {
  const channels = shape[0]!;
  const places = sizeOf(shape.slice(1));
  const sums = new Float64Array(channels);
  const pairs = createPairs(channels);
  const products = await openProducts(channels);
  let [images, outside] = [0, 0];
  return {
    async add(features) {
      const { units, count, largest } = averages(features, channels, places);
      images += count;
      outside += features.length / channels / places - count;
      for (let row = 0; row < units.length; row += channels) {
        for (let c = 0; c < channels; c++) sums[c]! += units[row + c]!;
      }
      const size = count * largest ** 2 + WORD <= EXACT ? count : GROUP;
      for (let from = 0; from < count; from += size) {
        const group = units.subarray(from * channels, Math.min(from + size, count) * channels);
        pairs.add(await products.of(group), size * largest ** 2);
      }
    },
    async finish() {
      await products.close();
      return { channels, images, outside, sums, ...pairs.words() };
    },
  };
}

/** What two sums come to together. */
export function mergeMoments(a: Moments, b: Moments): Moments {
  const pairs = createPairs(a.channels);
  pairs.merge(a);
  pairs.merge(b);
  return {
    channels: a.channels,
    images: a.images + b.images,
    outside: a.outside + b.outside,
    sums: a.sums.map((sum, c) => sum + b.sums[c]!),
    ...pairs.words(),
  };
}

/** The averages of each image that is not left out, in units [count, C], and the largest magnitude among them. */
function averages(features: Float32Array, channels: number, places: number) {
  const units = new Float64Array(features.length / places);
  let [count, largest] = [0, 0];
  for (let from = 0; from < features.length; from += channels * places) {
    let most = 0;
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let p = 0; p < places; p++) sum += features[from + c * places + p]!;
      // Math.round takes three times as long.
      const unit = Math.floor((sum / places) * UNIT + 0.5);
      units[count * channels + c] = unit;
      most = Math.max(most, Math.abs(unit));
    }
    // Written so that NaN is left out too.
    if (!(most <= LARGEST)) continue;
    count++;
    largest = Math.max(largest, most);
  }
  return { units: units.subarray(0, count * channels), count, largest };
}

/** Sums of whole numbers by pairs of channels, each in two words. */
function createPairs(channels: number) {
  const length = (channels * (channels + 1)) / 2;
  const [high, low] = [new Float64Array(length), new Float64Array(length)];
  // No low word is beyond this.
  let bound = 0;
  const carry = () => {
    for (let k = 0; k < length; k++) {
      const over = Math.floor(low[k]! / WORD);
      high[k]! += over;
      low[k]! -= over * WORD;
    }
    bound = WORD;
  };
  const makeRoom = (more: number) => {
    if (bound + more > EXACT) carry();
    bound += more;
  };
  return {
    /** Adds a matrix [C, C] of whole numbers, none beyond `most`. */
    add(matrix: Float64Array, most: number) {
      makeRoom(most);
      for (let i = 0, k = 0; i < channels; i++) {
        for (let j = i; j < channels; j++) low[k++]! += matrix[i * channels + j]!;
      }
    },
    merge(other: Pick<Moments, 'high' | 'low'>) {
      makeRoom(WORD);
      for (let k = 0; k < length; k++) {
        low[k]! += other.low[k]!;
        high[k]! += other.high[k]!;
      }
    },
    words() {
      carry();
      return { high, low };
    },
  };
}

/** Σₙ uₙᵢ uₙⱼ of units [N, C] as float64 [C, C], by ONNX Runtime. Where no sum leaves 2^53 it is exact, in whatever order. */
async function openProducts(channels: number) {
  const units = input('units', 'float64', ['N', channels]);
  const graph = { name: 'products', inputs: [units], outputs: { products: matmul(transpose(units, [1, 0]), units) } };
  const session = await openSession(emitInline(graph, new Map()), { threads: 1 });
  return {
    async of(data: Float64Array): Promise<Float64Array> {
      const { products } = await session.run({ units: tensor('float64', [data.length / channels, channels], data) });
      return products!.data as Float64Array;
    },
    close: () => session.release(),
  };
}

/**
 * The mean [C] and the covariance [C, C] (of N − 1) as float64, each number the exact one rounded once or twice.
 * Of no images the mean is NaN, of fewer than two the covariance.
 */
export function statisticsOf({ channels, images, sums, high, low }: Moments) {
  const mean = sums.map((sum) => sum / images / UNIT);
  const covariance = new Float64Array(channels * channels);
  const exact = Array.from(sums, BigInt);
  const count = BigInt(images);
  const scale = images * (images - 1) * UNIT ** 2;
  for (let i = 0, k = 0; i < channels; i++) {
    for (let j = i; j < channels; j++, k++) {
      const products = BigInt(high[k]!) * BigInt(WORD) + BigInt(low[k]!);
      const value = Number(count * products - exact[i]! * exact[j]!) / scale;
      covariance[i * channels + j] = value;
      covariance[j * channels + i] = value;
    }
  }
  return { mean, covariance };
}

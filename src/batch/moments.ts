import { sizeOf } from '../../export/tensor.js';

// Averages are whole multiples of 2^-16 here, so their sums and the sums of their products are whole numbers, and each step
// below is exact: a sum in float64 as long as it stays under 2^53, carried into a second word before it could leave that.
// Exact sums do not depend on the order of what is added. That is why shards can be merged in any order, and why the bytes of
// the result are the same however a job was cut and whatever was done again.

/** Averages are rounded to multiples of 2^-16, which adds 2^-32 / 12 to a variance. */
const UNIT = 2 ** 16;
/** Units beyond which an average is not taken in (256): the products of a group then stay exact. */
const LARGEST = 2 ** 24;
/** Images whose products are added at once; GROUP · LARGEST² and a word stay under 2^53. */
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
  /** In units², of pairs of channels as `rowOf` lays them out: high · 2^32 + low, 0 ≤ low < 2^32. */
  readonly high: Float64Array;
  readonly low: Float64Array;
}

export interface MomentsBuilder {
  /** Takes in features, float32 [N, C, H, W]. */
  add(features: Float32Array): void;
  /** Takes in what was summed elsewhere. */
  merge(other: Moments): void;
  /** All that was taken in; nothing is taken in afterwards. */
  finish(): Moments;
}

/** @param shape of the features of an image, [C, H, W] */
export function createMoments(shape: readonly number[]): MomentsBuilder {
  const channels = shape[0]!;
  const places = sizeOf(shape.slice(1));
  const padded = paddedTo(channels);
  const pairs = (padded * (padded + TILE)) / 2;
  const sums = new Float64Array(channels);
  const [high, low] = [new Float64Array(pairs), new Float64Array(pairs)];
  // Averages of a group in units; a channel's lie together.
  const group = new Float64Array(padded * GROUP);
  let [images, outside, filled, groupBound, bound] = [0, 0, 0, 0, 0];

  const carry = () => {
    for (let k = 0; k < pairs; k++) {
      const over = Math.floor(low[k]! / WORD);
      high[k]! += over;
      low[k]! -= over * WORD;
    }
    bound = WORD;
  };
  const flush = () => {
    if (bound + groupBound > EXACT) carry();
    addProducts(group, channels, low);
    bound += groupBound;
    [filled, groupBound] = [0, 0];
  };
  const addOne = (features: Float32Array, from: number) => {
    let largest = 0;
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let p = 0; p < places; p++) sum += features[from + c * places + p]!;
      const unit = Math.round((sum / places) * UNIT);
      group[c * GROUP + filled] = unit;
      largest = Math.max(largest, Math.abs(unit));
    }
    // Written so that NaN is left out too.
    if (!(largest <= LARGEST)) {
      outside++;
      return;
    }
    for (let c = 0; c < channels; c++) sums[c]! += group[c * GROUP + filled]!;
    images++;
    groupBound += largest ** 2;
    if (++filled === GROUP) flush();
  };
  return {
    add(features) {
      for (let from = 0; from < features.length; from += channels * places) addOne(features, from);
    },
    merge(other) {
      images += other.images;
      outside += other.outside;
      for (let c = 0; c < channels; c++) sums[c]! += other.sums[c]!;
      if (bound + WORD > EXACT) carry();
      for (let k = 0; k < pairs; k++) {
        low[k]! += other.low[k]!;
        high[k]! += other.high[k]!;
      }
      bound += WORD;
    },
    finish() {
      for (let c = 0; c < channels; c++) group.fill(0, c * GROUP + filled, (c + 1) * GROUP);
      flush();
      carry();
      return { channels, images, outside, sums, high, low };
    },
  };
}

/**
 * Adds Σₙ uᵢₙ uⱼₙ to the sums of all pairs, four channels by two at a time. Their eight sums are variables, so that they are
 * kept in registers.
 */
function addProducts(group: Float64Array, channels: number, low: Float64Array): void {
  const columns = paddedTo(channels);
  for (let i = 0; i < columns; i += TILE) {
    const [row, length] = [rowOf(i, channels), columns - i];
    for (let j = i; j < columns; j += 2) {
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      let e = 0;
      let f = 0;
      let g = 0;
      let h = 0;
      for (let n = 0; n < GROUP; n++) {
        const left = group[j * GROUP + n]!;
        const right = group[j * GROUP + GROUP + n]!;
        const first = group[i * GROUP + n]!;
        a += first * left;
        b += first * right;
        const second = group[i * GROUP + GROUP + n]!;
        c += second * left;
        d += second * right;
        const third = group[i * GROUP + 2 * GROUP + n]!;
        e += third * left;
        f += third * right;
        const fourth = group[i * GROUP + 3 * GROUP + n]!;
        g += fourth * left;
        h += fourth * right;
      }
      low[row + j]! += a;
      low[row + j + 1]! += b;
      low[row + length + j]! += c;
      low[row + length + j + 1]! += d;
      low[row + 2 * length + j]! += e;
      low[row + 2 * length + j + 1]! += f;
      low[row + 3 * length + j]! += g;
      low[row + 3 * length + j + 1]! += h;
    }
  }
}

/** Channels whose rows begin at the same column. */
const TILE = 4;
const paddedTo = (channels: number): number => TILE * Math.ceil(channels / TILE);

/**
 * Where the pairs of a channel lie, when the other is added. Rows of four begin at the first of the four channels and go on to
 * a whole multiple of four, so that tiles need no exceptions; pairs i > j in them, and channels there are none of, do no harm.
 */
function rowOf(i: number, channels: number): number {
  const columns = paddedTo(channels);
  const first = i - (i % TILE);
  return first * columns - (first * (first - TILE)) / 2 + (i - first) * (columns - first) - first;
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
  for (let i = 0; i < channels; i++) {
    for (let j = i; j < channels; j++) {
      const k = rowOf(i, channels) + j;
      const products = BigInt(high[k]!) * BigInt(WORD) + BigInt(low[k]!);
      const value = Number(count * products - exact[i]! * exact[j]!) / scale;
      covariance[i * channels + j] = value;
      covariance[j * channels + i] = value;
    }
  }
  return { mean, covariance };
}

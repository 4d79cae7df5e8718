import type { Images } from '../data/datasets.js';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.js';
import type { Session } from '../runtime/session.js';
import { countCorrect } from '../train/accuracy.js';
import type { Inversion } from './manifest.js';

/** The graphs of a model, loaded; a network that is not invertible has the first alone. */
export interface Graphs {
  readonly forward: Session;
  readonly inverse: Session | undefined;
}

/** Images at a time; different in the two directions, since an inverse that needs equal batches is no inverse. */
export interface Batches {
  readonly encode: number;
  readonly decode: number;
}

export interface Measurement {
  readonly images: number;
  /** Images whose label has the highest score. */
  readonly correct: number;
  /** null where there is no inverse. */
  readonly inversion: Inversion | null;
}

/** Encodes and decodes every image, and compares what comes back with the network's input and with the pixels. */
export async function measure(
  { forward, inverse }: Graphs,
  images: Images,
  batches: Batches,
  progress: (done: number) => void = () => {},
): Promise<Measurement> {
  const { height, width, channels } = images;
  const size = height * width * channels;
  let [correct, exactFloat, exactPixels, sum, max] = [0, 0, 0, 0, 0];
  for (let at = 0; at < images.count; at += batches.encode) {
    const count = Math.min(batches.encode, images.count - at);
    const pixels = images.pixels.subarray(at * size, (at + count) * size);
    const encoded = await forward.run({ pixels: tensor('uint8', [count, height, width, channels], pixels) });
    correct += countCorrect(encoded.logits!, images.labels.subarray(at, at + count));
    const decoded = inverse && (await inBatches(inverse, encoded.features!, batches.decode));
    for (let n = 0; decoded && n < count; n++) {
      const error = relativeError(rowOf(encoded.image!, n), rowOf(decoded.image!, n));
      if (sameBits(rowOf(encoded.image!, n), rowOf(decoded.image!, n))) exactFloat++;
      if (Buffer.compare(pixels.subarray(n * size, (n + 1) * size), rowOf(decoded.pixels!, n)) === 0) exactPixels++;
      sum += error;
      max = Math.max(max, error);
    }
    progress(at + count);
  }
  const inversion = { exactFloat, exactPixels, relativeErrorMean: sum / images.count, relativeErrorMax: max };
  return { images: images.count, correct, inversion: inverse ? inversion : null };
}

/** Runs Φ⁻¹ on a few features at a time and joins the results. */
async function inBatches(inverse: Session, features: Tensor, batch: number): Promise<Record<string, Tensor>> {
  const [count, ...rest] = features.dims as [number, ...number[]];
  const size = sizeOf(rest);
  const parts: Record<string, Tensor>[] = [];
  for (let at = 0; at < count; at += batch) {
    const n = Math.min(batch, count - at);
    const piece = (features.data as Float32Array).subarray(at * size, (at + n) * size);
    parts.push(await inverse.run({ features: tensor('float32', [n, ...rest], piece) }));
  }
  return Object.fromEntries(inverse.outputNames.map((name) => [name, joined(parts.map((p) => p[name]!))]));
}

function joined(parts: readonly Tensor[]): Tensor {
  const [first] = parts as [Tensor];
  const rest = first.dims.slice(1);
  const count = parts.reduce((sum, p) => sum + p.dims[0]!, 0);
  const out = tensor(
    first.type,
    [count, ...rest],
    first.type === 'uint8' ? new Uint8Array(count * sizeOf(rest)) : new Float32Array(count * sizeOf(rest)),
  );
  let at = 0;
  for (const p of parts) {
    (out.data as Float32Array).set(p.data as Float32Array, at);
    at += p.data.length;
  }
  return out;
}

function rowOf<T extends Tensor>({ data, dims }: T, n: number): T['data'] & Uint8Array & Float32Array {
  const size = sizeOf(dims.slice(1));
  return (data as Float32Array).subarray(n * size, (n + 1) * size) as T['data'] & Uint8Array & Float32Array;
}

const bits = (x: Float32Array): Int32Array => new Int32Array(x.buffer, x.byteOffset, x.length);

function sameBits(a: Float32Array, b: Float32Array): boolean {
  const [x, y] = [bits(a), bits(b)];
  return x.every((v, i) => v === y[i]);
}

/** ‖a − b‖₂ / ‖a‖₂. */
export function relativeError(a: Float32Array, b: Float32Array): number {
  let [difference, norm] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    norm += a[i]! ** 2;
  }
  return Math.sqrt(difference / norm);
}

import { createHash } from 'node:crypto';
import { noiseImages } from '../../export/data/noise.js';
import { rows } from '../../export/graph/rows.js';
import { bytesOf, sizeOf, type Tensor, tensor } from '../../export/graph/tensor.js';
import type { Manifest } from '../../export/model/manifest.js';
import { type GraphName, graphs, signatureOf } from '../../export/model/signature.js';
import type { Session } from '../../export/runtime/session.js';
import { runInSlices } from '../../export/runtime/slices.js';
import { padded } from './padding.js';
import type { RoundTrip } from './protocol.js';

const IMAGES = 4;
const SEED = 20180415;
/** Length of the hash of the features. */
const DIGITS = 16;

/** Φ⁻¹ of a model does not recover its input on this device. */
export class SelfTestError extends Error {
  override readonly name = 'SelfTestError';
}

/** An input for one run of a graph, whose results are not looked at. */
export function probeOf(manifest: Manifest, graph: GraphName, images = 1): Record<string, Tensor> {
  if (graphs[graph].input === 'pixels') return { pixels: noise(manifest.input, images) };
  const { name, row } = signatureOf(manifest, graph).input;
  const shape = [images, ...row];
  return { [name]: tensor('float32', shape, new Float32Array(sizeOf(shape))) };
}

function noise(input: Manifest['input'], images: number): Tensor<'uint8'> {
  const { pixels } = noiseImages(images, input, SEED);
  return tensor('uint8', [images, input.height, input.width, input.channels], pixels);
}

type Runner = Pick<Session, 'run'>;

/** Sizes of batches that are tested. */
export interface Sizes {
  readonly encode: readonly number[];
  readonly decode: readonly number[];
}

/** Encoded in one batch and decoded one by one. */
export const plainSizes: Sizes = { encode: [IMAGES], decode: [1] };

/**
 * Encodes noise and decodes it, in every combination of sizes of batches: every 8-bit pixel must come back.
 * @throws SelfTestError
 */
export async function selfTest(
  { name, input }: Manifest,
  forward: Runner,
  inverse: Runner,
  sizes: Sizes,
): Promise<RoundTrip> {
  const pixels = noise(input, IMAGES);
  let [exactPixels, exactFloat] = [IMAGES, IMAGES];
  const hash = createHash('sha256');
  for (const encode of sizes.encode) {
    const encoded = await inBatches(forward, { pixels }, ['features', 'image'], encode);
    hash.update(bytesOf(encoded.features!));
    for (const decode of sizes.decode) {
      const decoded = await inBatches(inverse, { features: encoded.features! }, ['pixels', 'image'], decode);
      exactPixels = Math.min(exactPixels, equalRows(pixels, decoded.pixels!));
      exactFloat = Math.min(exactFloat, equalRows(encoded.image!, decoded.image!));
      if (exactPixels === IMAGES) continue;
      throw new SelfTestError(
        `model ${name} recovers only ${exactPixels} of ${IMAGES} noise images on this device, encoded by ${encode} and decoded by ${decode}: its inverse is not served`,
      );
    }
  }
  return { images: IMAGES, exactPixels, exactFloat, features: hash.digest('hex').slice(0, DIGITS) };
}

/** Runs a graph on all rows of its input, in batches of exactly this size: the last one is padded. */
const inBatches = (session: Runner, feeds: Record<string, Tensor>, fetch: readonly string[], size: number) =>
  runInSlices({ run: padded(session, [size]) }, feeds, size, fetch);

/** How many rows are equal in every number. For float32 that is every bit, but for −0 and 0: they are one number. */
function equalRows(a: Tensor, b: Tensor): number {
  const equal = (i: number) => {
    const [x, y] = [rows(a, i, i + 1).data as Float32Array, rows(b, i, i + 1).data as Float32Array];
    return x.every((v, at) => v === y[at]);
  };
  return Array.from({ length: a.dims[0]! }, (_, i) => equal(i)).filter(Boolean).length;
}

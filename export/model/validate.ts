import type { Images } from '../data/datasets.js';
import { noiseImages } from '../data/noise.js';
import { sha256 } from '../files/write.js';
import type { NamedTensors } from '../graph/tensor.js';
import { tensor } from '../graph/tensor.js';
import { exactBelow } from '../networks/layers/coupling.js';
import type { Network } from '../networks/network.js';
import { openSession } from '../runtime/session.js';
import { graphFiles } from './create.js';
import { emitInline, magnitudeGraph } from './graphs.js';
import type { Inversion } from './manifest.js';
import { type Graphs, measure } from './measure.js';
import { closeGraphs, type Model, openGraphs } from './open.js';

/** The outcome of one check: 'warning' leaves a model usable. */
export interface Check {
  readonly check: string;
  readonly outcome: 'ok' | 'warning' | 'failed';
  readonly detail: string;
}

/** Streams above this share of the limit of exact sums are refused, above the lower share warned about. */
const REFUSED = 1 / 2;
const WARNED = 1 / 8;

/** Without a grid the round trip is only as good as float32: the paper reports 3e-6 to 5e-6. */
const FLOAT_TOLERANCE = 1e-4;

/**
 * Checks an opened model: the graphs are what the builder makes of the manifest's configuration; the round trip holds on
 * images and on noise, one by one and at different batch sizes for the two directions; streams keep away from the limit
 * of exact sums. (Opening it has checked the manifest's format and hashes.)
 */
export async function validate(model: Model, images: Images, threads: number): Promise<Check[]> {
  const noise = noiseImages(Math.min(images.count, 200), model.network.input, 1);
  const graphs = await openGraphs(model.folder, threads);
  const described: Check[] = [
    { check: 'files', outcome: 'ok', detail: 'format, sizes and hashes are those of the manifest' },
    sameAsBuilt(model),
  ];
  try {
    if (!graphs.inverse) return [...described, { check: 'round trip', outcome: 'ok', detail: 'there is no inverse' }];
    return [
      ...described,
      await roundTrip(model, graphs, 'images', images, { encode: 1, decode: 1 }),
      await roundTrip(model, graphs, 'images', images, { encode: 100, decode: 7 }),
      await roundTrip(model, graphs, 'images', images, { encode: 3, decode: 64 }),
      await roundTrip(model, graphs, 'noise', noise, { encode: 100, decode: 7 }),
      await checkHeadroom(model.network, model.weights, images, threads),
      await checkHeadroom(model.network, model.weights, noise, threads),
    ];
  } finally {
    await closeGraphs(graphs);
  }
}

function sameAsBuilt({ network, manifest }: Model): Check {
  const different = Object.entries(graphFiles(network)).flatMap(([name, bytes]) =>
    sha256(bytes) === manifest.files[name as 'forward.onnx']?.sha256 ? [] : [name],
  );
  const check = 'configuration';
  if (different.length === 0)
    return { check, outcome: 'ok', detail: 'the builder makes the same graphs, byte for byte' };
  return {
    check,
    outcome: 'failed',
    detail: `the builder makes another ${different.join(' and ')}; export the model again`,
  };
}

async function roundTrip(
  { manifest }: Model,
  graphs: Graphs,
  kind: string,
  images: Images,
  batches: { encode: number; decode: number },
): Promise<Check> {
  const { inversion } = await measure(graphs, images, batches);
  return {
    check: `round trip of ${images.count} ${kind}, ${batches.encode} encoded and ${batches.decode} decoded at a time`,
    ...judge(inversion!, images.count, manifest.grid !== null),
  };
}

/** Whether a round trip is as good as it should be: to the last bit on a grid, within float32 without. */
export function judge(inversion: Inversion, images: number, exact: boolean): Pick<Check, 'outcome' | 'detail'> {
  const { exactFloat, exactPixels, relativeErrorMean, relativeErrorMax } = inversion;
  const good = exactPixels === images && (exact ? exactFloat === images : relativeErrorMax < FLOAT_TOLERANCE);
  const error = `relative error ${relativeErrorMean.toExponential(1)} mean, ${relativeErrorMax.toExponential(1)} max`;
  return {
    outcome: good ? 'ok' : 'failed',
    detail: `${exactFloat} of ${images} in every float32 bit, ${exactPixels} in every pixel; ${error}`,
  };
}

/** How far the streams stay below the magnitude at which sums of grid points stop being exact. */
export async function checkHeadroom(
  network: Network,
  weights: NamedTensors,
  images: Images,
  threads: number,
): Promise<Check> {
  const check = `stream magnitudes on ${images.count} images`;
  if (network.grid === null) return { check, outcome: 'ok', detail: 'no grid, nothing to keep away from' };
  const peak = await largestMagnitude(network, weights, images, threads);
  const limit = exactBelow(network.grid);
  const outcome = peak >= REFUSED * limit ? 'failed' : peak >= WARNED * limit ? 'warning' : 'ok';
  const remedy = outcome === 'ok' ? '' : '; export with a smaller grid';
  const detail = `at most ${peak.toPrecision(3)}, exact below ${limit} (grid 2^-${network.grid})${remedy}`;
  return { check, outcome, detail };
}

const BATCH = 100;

/** The largest magnitude in any stream of any image, by the graph of magnitudes. */
async function largestMagnitude(
  network: Network,
  weights: NamedTensors,
  images: Images,
  threads: number,
): Promise<number> {
  const session = await openSession(emitInline(magnitudeGraph(network), weights), { threads });
  const { height, width, channels } = images;
  const size = height * width * channels;
  let peak = 0;
  for (let at = 0; at < images.count; at += BATCH) {
    const count = Math.min(BATCH, images.count - at);
    const pixels = tensor(
      'uint8',
      [count, height, width, channels],
      images.pixels.subarray(at * size, (at + count) * size),
    );
    const { magnitudes } = await session.run({ pixels });
    for (const m of magnitudes!.data as Float32Array)
      peak = Number.isNaN(m) ? Number.POSITIVE_INFINITY : Math.max(peak, m);
  }
  await session.release();
  return peak;
}

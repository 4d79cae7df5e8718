import { type Images, pixelsOf } from '../data/images.js';
import { noiseImages } from '../data/noise.js';
import { batchesOf, type ImageSource, inMemory } from '../data/source.js';
import { type Listed, sha256 } from '../files/write.js';
import type { NamedTensors } from '../graph/tensor.js';
import { exactBelow } from '../networks/layers/coupling.js';
import type { Network } from '../networks/network.js';
import { openSession } from '../runtime/session.js';
import { runInSlices } from '../runtime/slices.js';
import { graphFiles } from './create.js';
import { emitInline, magnitudeGraph } from './graphs.js';
import { type Inversion, variantsOf } from './manifest.js';
import { type Batches, gainfulBatches, measure, relativeError } from './measure.js';
import { closeGraphs, type Graphs, type Model, openGraph, openGraphs } from './open.js';

/** The outcome of one check: 'warning' leaves a model usable. */
export interface Check {
  readonly check: string;
  readonly outcome: 'ok' | 'warning' | 'failed';
  readonly detail: string;
}

/** Shares of the limit of exact sums: streams above the higher are refused, those above the lower warned about. */
const REFUSED = 1 / 2;
const WARNED = 1 / 8;

/** Largest relative error (L2) of a round trip without a grid. The paper reports 3e-6 to 5e-6 with float32. */
const FLOAT_TOLERANCE = 1e-4;

/** A variant whose results are further (L2, relative) from those of its graph is warned about. */
const VARIANT_TOLERANCE = 0.1;

/**
 * Checks an opened model: the graphs are what the builder makes of the manifest's configuration; the round trip holds on
 * images and on noise, one by one and at different batch sizes for the two directions; streams keep away from the limit
 * of exact sums; variants have the results of their graph, roughly. (Opening it has checked the manifest's format and
 * hashes.)
 */
export async function validate(model: Model, images: Images, threads: number): Promise<Check[]> {
  const noise = noiseImages(Math.min(images.count, 200), model.network.input, 1);
  const graphs = await openGraphs(model.folder, threads);
  const described: Check[] = [
    { check: 'files', outcome: 'ok', detail: 'format, sizes and hashes are those of the manifest' },
    sameAsBuilt(model),
  ];
  try {
    for (const name of variantsOf(model.manifest))
      described.push(await checkVariant(model.folder, name, graphs, images, threads));
    if (!graphs.inverse) return [...described, { check: 'round trip', outcome: 'ok', detail: 'there is no inverse' }];
    return [
      ...described,
      await roundTrip(model, graphs, 'images', images, { encode: 1, decode: 1 }),
      await roundTrip(model, graphs, 'images', images, { encode: 100, decode: 7 }),
      await roundTrip(model, graphs, 'images', images, { encode: 3, decode: 64 }),
      await roundTrip(model, graphs, 'noise', noise, { encode: 100, decode: 7 }),
      await checkHeadroom(model.network, model.weights, inMemory(images), threads),
      await checkHeadroom(model.network, model.weights, inMemory(noise), threads),
    ];
  } finally {
    await closeGraphs(graphs);
  }
}

function sameAsBuilt({ network, manifest }: Model): Check {
  const different = Object.entries(graphFiles(network)).flatMap(([name, bytes]) =>
    sha256(bytes) === (manifest.files as Record<string, Listed>)[name]?.sha256 ? [] : [name],
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

/** Compares the first output of a variant (the features, or the pixels) with that of the graph after which it is named. */
async function checkVariant(
  folder: string,
  name: string,
  { forward, inverse }: Graphs,
  images: Images,
  threads: number,
): Promise<Check> {
  const check = `variant ${name}`;
  const original = name.startsWith('forward-') ? forward : inverse;
  if (!original) return { check, outcome: 'failed', detail: 'there is no inverse of which it could be a variant' };
  const variant = await openGraph(folder, name, threads);
  try {
    const wanted = `${original.inputNames} → ${original.outputNames}`;
    const found = `${variant.inputNames} → ${variant.outputNames}`;
    if (wanted !== found) return { check, outcome: 'failed', detail: `it computes ${found}, expected ${wanted}` };
    const pixels = { pixels: pixelsOf(images) };
    const feeds = original === forward ? pixels : await runInSlices(forward, pixels, BATCH, ['features']);
    const [output] = original.outputNames as [string];
    const theirs = (await runInSlices(original, feeds, BATCH, [output]))[output]!;
    const its = (await runInSlices(variant, feeds, BATCH, [output]))[output]!;
    const error = relativeError(
      Float32Array.from(theirs.data as Float32Array),
      Float32Array.from(its.data as Float32Array),
    );
    const outcome = error <= VARIANT_TOLERANCE ? 'ok' : 'warning';
    return { check, outcome, detail: `${output} differ by a relative error of ${error.toExponential(1)}` };
  } finally {
    await variant.release();
  }
}

async function roundTrip(
  { manifest }: Model,
  graphs: Graphs,
  kind: string,
  images: Images,
  batches: Batches,
): Promise<Check> {
  const { inversion } = await measure(graphs, inMemory(images), batches);
  return {
    check: `round trip of ${images.count} ${kind}, ${batches.encode} encoded and ${batches.decode} decoded at a time`,
    ...judge(inversion!, images.count, manifest.grid !== null),
  };
}

/** Judges a round trip: exact to the last bit on a grid, within the precision of float32 without one. */
export function judge(inversion: Inversion, images: number, exact: boolean): Pick<Check, 'outcome' | 'detail'> {
  const { exactFloat, exactPixels, relativeErrorMean, relativeErrorMax } = inversion;
  const good = exactPixels === images && (exact ? exactFloat === images : relativeErrorMax < FLOAT_TOLERANCE);
  const error = `relative error ${relativeErrorMean.toExponential(1)} mean, ${relativeErrorMax.toExponential(1)} max`;
  return {
    outcome: good ? 'ok' : 'failed',
    detail: `${exactFloat} of ${images} in every float32 bit, ${exactPixels} in every pixel; ${error}`,
  };
}

/** Compares the largest magnitude in the streams with the one above which sums of grid points are not exact. */
export async function checkHeadroom(
  network: Network,
  weights: NamedTensors,
  source: ImageSource,
  threads: number,
): Promise<Check> {
  const check = `stream magnitudes on ${source.count} images`;
  if (network.grid === null) return { check, outcome: 'ok', detail: 'no grid, nothing to keep away from' };
  const peak = await largestMagnitude(network, weights, source, threads);
  const limit = exactBelow(network.grid);
  const outcome = peak >= REFUSED * limit ? 'failed' : peak >= WARNED * limit ? 'warning' : 'ok';
  const remedy = outcome === 'ok' ? '' : '; export with a smaller grid';
  const detail = `at most ${peak.toPrecision(3)}, exact below ${limit} (grid 2^-${network.grid})${remedy}`;
  return { check, outcome, detail };
}

const BATCH = 100;

/** The largest magnitude in any stream of any image; infinity where one is not a number. */
async function largestMagnitude(
  network: Network,
  weights: NamedTensors,
  source: ImageSource,
  threads: number,
): Promise<number> {
  const session = await openSession(emitInline(magnitudeGraph(network), weights), { threads });
  try {
    let peak = 0;
    for await (const { images } of batchesOf(source, gainfulBatches(network.input).encode)) {
      const { magnitudes } = await session.run({ pixels: pixelsOf(images) });
      for (const m of magnitudes!.data as Float32Array)
        peak = Number.isNaN(m) ? Number.POSITIVE_INFINITY : Math.max(peak, m);
    }
    return peak;
  } finally {
    await session.release();
  }
}

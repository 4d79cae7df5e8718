import { type Checkpoint, CheckpointFileError } from './checkpoint.js';
import type { Given } from './importer.js';

/** How a network begins: the image's channels and the block size of the first ψ (1: none). */
export interface Start {
  readonly channels: 1 | 3;
  readonly initialPsi: number;
}

/** What the weights of the first block, and the statistics that the file keeps of the first streams, say. */
export interface FirstBlock {
  /** Channels of one stream where the first convolution takes it. */
  readonly from: number;
  readonly stride: 1 | 2;
  /** Statistics of the BatchNorm behind the first convolution. */
  readonly behind: Statistics | undefined;
  /** Statistics of the second block's first BatchNorm, which sees x1 + F(x2) of the first block. */
  readonly second: Statistics | undefined;
}

/** Running statistics of a BatchNorm, by channel. */
export interface Statistics {
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

/** Channels that reach the first block before any padding. */
export const channelsOf = ({ channels, initialPsi }: Start): number => channels * initialPsi ** 2;

/** Block sizes that an initial ψ may have. */
const PSI = [1, 2, 4, 8];

/**
 * How the network of a checkpoint begins. Its weights alone do not say it: a first block of half-width w and stride 1 may
 * take 2w channels, or fewer with zero channels added. What is tried, one after the other: the attributes of a pickled
 * module, the running statistics, and what is given.
 * @returns the beginning, and what was concluded rather than read
 * @throws CheckpointFileError listing what is possible, and the flags that choose
 */
export function startOf(
  { path, attributes }: Checkpoint,
  block: FirstBlock,
  given: Given,
): { start: Start; assumptions: string[] } {
  const total = 2 * block.from;
  const sizes = [...new Set([...PSI, ...(given.initialPsi === undefined ? [] : [given.initialPsi])])];
  const possible = ([3, 1] as const)
    .flatMap((channels) => sizes.map((initialPsi): Start => ({ channels, initialPsi })))
    .filter((start) => (block.stride === 2 ? channelsOf(start) === total : channelsOf(start) <= total))
    .filter(said(attributes))
    .filter(byZeroStream(block));
  const wanted = possible.filter(asGiven(given));
  if (wanted.length === 0) {
    throw new CheckpointFileError(
      path,
      possible.length === 0
        ? `its first block takes two streams of ${block.from} channels, to which no grey or colour image leads. Name the network with --config`
        : `it is no network as the flags say. Its weights fit:\n${listed(possible, total)}\nLeave out the flag that is wrong, or name the network with --config`,
    );
  }
  const evident = wanted.filter((start) => showsIn(block, channelsOf(start)));
  const [start, ...others] = evident.length === 1 ? evident : wanted;
  if (others.length > 0) {
    throw new CheckpointFileError(
      path,
      `its weights fit ${wanted.length} networks and do not tell them apart. Choose one by its flags:\n${listed(wanted, total)}`,
    );
  }
  const concluded = wanted.length > 1 && !isExact(block, channelsOf(start!));
  return {
    start: start!,
    assumptions: concluded
      ? [
          `${words(start!, total)}, since only so many channels vary with the image in the second block’s statistics; --channels and --initial-psi say otherwise`,
        ]
      : [],
  };
}

/** The release's module keeps `init_ds` (0: no ψ) and `in_ch`, the channels behind ψ. */
function said(attributes: Checkpoint['attributes']): (start: Start) => boolean {
  const [size, total] = [attributes.get('init_ds'), attributes.get('in_ch')];
  return (start) =>
    (typeof size !== 'number' || Math.max(1, size) === start.initialPsi) &&
    (typeof total !== 'number' || total === channelsOf(start));
}

const asGiven =
  ({ channels, initialPsi, mean, std }: Given) =>
  (start: Start): boolean =>
    (channels === undefined || channels === start.channels) &&
    (initialPsi === undefined || initialPsi === start.initialPsi) &&
    [mean, std].every((values) => values === undefined || values.length === 1 || values.length === start.channels);

/**
 * Up to half of the padded channels, the second stream is all zeros. Then the mean behind the first convolution stays 0,
 * and the variance decays from 1 by the same factor for all channels; otherwise the mean is 0 in an untrained network alone.
 */
function byZeroStream({ from, behind }: FirstBlock): (start: Start) => boolean {
  if (!behind || isUntrained(behind)) return () => true;
  const zeros = behind.mean.every((m) => m === 0);
  return (start) => channelsOf(start) <= from === zeros;
}

/** As BatchNorm starts. */
const isUntrained = ({ mean, variance }: Statistics): boolean =>
  mean.every((m) => m === 0) && variance.every((v) => v === 1);

/** How much more a channel of the image varies than one of the padding. */
const CLEARLY = 3;

/**
 * Whether the second block's statistics say that so many channels come from the image. Where the second stream is all
 * zeros, F(x2) is the same for every image, so that the channels of the padding hardly vary, while those of the image do.
 */
function showsIn({ from, behind, second }: FirstBlock, channels: number): boolean {
  const variances = byImages(behind, second);
  if (!variances || channels > from || variances.length !== from) return false;
  const image = Math.min(...variances.slice(0, channels));
  const padding = variances.slice(channels);
  const rest = padding.length > 0 ? Math.max(...padding) : Math.max(...variances) / CLEARLY ** 2;
  return image > CLEARLY * Math.max(rest, 0);
}

/** Whether the padding's channels have exactly the statistics of zeros. */
function isExact({ behind, second }: FirstBlock, channels: number): boolean {
  const [decayed] = behind!.variance;
  return (
    second!.mean.subarray(channels).every((m) => m === 0) &&
    second!.variance.subarray(channels).every((v) => v === decayed)
  );
}

/** The second block's variances less what is left of their initial value 1, which the zero stream's show. */
function byImages(behind: Statistics | undefined, second: Statistics | undefined): number[] | undefined {
  const decayed = behind?.variance[0];
  if (!behind || !second || decayed === undefined || isUntrained(behind)) return undefined;
  return behind.mean.every((m) => m === 0) ? [...second.variance].map((v) => v - decayed) : undefined;
}

const listed = (starts: readonly Start[], total: number): string =>
  starts
    .map((start) => `  --channels ${start.channels} --initial-psi ${start.initialPsi}   ${words(start, total)}`)
    .join('\n');

function words(start: Start, total: number): string {
  const { channels, initialPsi } = start;
  const count = channelsOf(start);
  const psi = initialPsi === 1 ? 'no initial ψ' : `initial ψ ${initialPsi}`;
  const told = count === 1 ? '1 channel' : `${count} channels`;
  const padded = count < total ? `injective, ${told} padded to ${total}` : `${told}, no padding`;
  return `${channels === 1 ? 'grey' : 'colour'} images, ${psi}: ${padded}`;
}

import { seeded } from '../data/random.js';
import type { Parameter } from '../graph/graph.js';
import type { NamedTensors, Tensor } from '../graph/tensor.js';
import { networkParameters } from '../model/graphs.js';
import type { Network } from '../networks/index.js';
import { draws } from './batches.js';
import { initialise } from './initialise.js';
import { RunError, type RunTensors } from './saved-run.js';

/** Weights that a run starts from instead of random ones. */
export interface From {
  /** What they are of, in words. */
  readonly title: string;
  /** Trained weights and running statistics, by name. */
  readonly weights: NamedTensors;
  /** Of the file that they come from. */
  readonly sha256: string;
}

/** The weights of the first step, and the names of those that are random. */
export interface Start extends Pick<RunTensors, 'parameters' | 'statistics'> {
  readonly random: readonly string[];
}

/**
 * The weights that a network starts from. Where the classes are others than those of `from`, the last layer starts at random.
 * @throws RunError when the weights are those of another network
 */
export function startOf(network: Network, seed: number, from?: From): Start {
  const leaves = networkParameters(network);
  const initial = initialise(leaves, seeded(seed, draws.initial));
  const taken = leaves.filter((leaf) => from !== undefined && !isOfOtherClasses(leaf, network, from));
  for (const leaf of taken) initial.set(leaf.source.name, sameShape(leaf, from!));
  const ofKind = (kind: string): NamedTensors =>
    new Map(
      leaves
        .filter(({ source }) => source.role.kind === kind)
        .map(({ source: { name } }) => [name, initial.get(name)!]),
    );
  const random = leaves.filter((leaf) => !taken.includes(leaf)).map(({ source }) => source.name);
  return { parameters: ofKind('trained'), statistics: ofKind('statistic'), random };
}

/** Whether a parameter has a row for each class, and the given one differs in their number alone. */
function isOfOtherClasses(
  { type: { shape }, source: { name } }: Parameter,
  { classes }: Network,
  { weights }: From,
): boolean {
  const [given, ...rest] = weights.get(name)?.dims ?? [];
  const [rows, ...own] = shape;
  return rows === classes && given !== undefined && given !== rows && `${rest}` === `${own}` && own.length < 2;
}

function sameShape({ type: { shape }, source: { name } }: Parameter, { title, weights }: From): Tensor<'float32'> {
  const found = weights.get(name);
  if (`${found?.dims}` === `${shape}`) return found as Tensor<'float32'>;
  const what = found ? `shape [${found.dims}]` : 'not there';
  throw new RunError(
    `${title} is of another network: ${name} is ${what}, expected [${shape}]. Start from weights of the same --config`,
  );
}

import type { Parameter } from '../graph/graph.js';
import { staticShape } from '../graph/shape.js';
import { networkParameters } from '../model/graphs.js';
import type { WeightSource } from '../model/weights.js';
import { buildNetwork, type Specification } from '../networks/index.js';
import { type Checkpoint, CheckpointFileError } from './checkpoint.js';
import { onGivenGrid, withGiven } from './given.js';
import type { Given, Importer, Inferred } from './importer.js';
import { releasedIRevNet } from './irevnet.js';
import { withPlainNorms } from './plain-norms.js';
import { torchvisionResNet } from './resnet.js';

export { type Checkpoint, CheckpointFileError, openCheckpoint } from './checkpoint.js';
export type { Given } from './importer.js';

/** Every family of checkpoints that can be imported. Adding one is one file and one line. */
export const importers: readonly Importer[] = [releasedIRevNet, torchvisionResNet];

/** A checkpoint's network, and its weights by the names of the network's parameters. */
export interface Imported extends Inferred {
  readonly description: string;
  readonly weights: WeightSource;
  /** The file's name of a parameter. */
  readonly nameOf: (parameter: string) => string;
}

/**
 * Infers the network of a checkpoint and maps the checkpoint's tensors to the network's parameters.
 * @param named the network, if it should not be inferred
 * @throws CheckpointFileError listing tensors that are missing, surplus or misshapen, or the networks that the weights
 * may be of; ConfigError
 */
export async function importCheckpoint(opened: Checkpoint, given: Given, named?: Specification): Promise<Imported> {
  const { path } = opened;
  const { tensors, assumptions: filled } = withPlainNorms(opened.tensors);
  const checkpoint = { ...opened, tensors };
  const importer = importers.find(({ recognises }) => recognises(new Set(tensors.keys())));
  if (!importer) {
    const some = [...tensors.keys()].slice(0, 4).map(printable).join(', ');
    const known = importers.map(({ description }) => description).join('; ');
    throw new CheckpointFileError(path, `its tensors (${some}, …) are of no known network. Known are: ${known}`);
  }
  const { specification, assumptions } = named
    ? { specification: withGiven(named, given), assumptions: [] }
    : await importer.infer(checkpoint, given);
  const regridded = onGivenGrid(specification, given);
  const parameters = networkParameters(buildNetwork(regridded));
  const nameOf = importer.names(checkpoint);
  const problems = mismatches(checkpoint, parameters, nameOf);
  if (problems.length > 0)
    throw new CheckpointFileError(path, `${problems.length} tensors do not fit the network:\n${shortened(problems)}`);
  return {
    specification: regridded,
    assumptions: [...assumptions, ...filled],
    description: importer.description,
    nameOf,
    weights: { get: (parameter) => checked(path, nameOf(parameter), tensors) },
  };
}

/** Counters that PyTorch stores beside the statistics; inference does not use them. */
const IGNORED = /(^|\.)num_batches_tracked$/;

function mismatches(
  { tensors }: Checkpoint,
  parameters: readonly Parameter[],
  nameOf: (parameter: string) => string,
): string[] {
  const expected = new Map(parameters.map((p) => [nameOf(p.source.name), staticShape(p.type.shape)]));
  const wanted = [...expected].flatMap(([name, shape]) => {
    const found = tensors.get(name);
    if (!found) return [`  ${name} [${shape}] is missing`];
    return `${found.dims}` === `${shape}` ? [] : [`  ${name} has shape [${found.dims}], expected [${shape}]`];
  });
  const surplus = [...tensors].flatMap(([name, { dims }]) =>
    expected.has(name) || IGNORED.test(name) ? [] : [`  ${printable(name)} [${dims}] is surplus`],
  );
  return [...wanted, ...surplus];
}

/** A name from the file: it may have any length, and what a terminal would obey. */
const printable = (name: string): string => name.replace(/[^ -~]/g, '?').slice(0, 100);

const MOST_LINES = 10;

const shortened = (lines: readonly string[]): string =>
  lines.length <= MOST_LINES
    ? lines.join('\n')
    : [...lines.slice(0, MOST_LINES), `  … and ${lines.length - MOST_LINES} more`].join('\n');

/** A tensor with which a network can compute: its numbers are finite, and variances are not negative. */
async function checked(path: string, name: string, tensors: Checkpoint['tensors']) {
  const { dtype, read } = tensors.get(name)!;
  const values = await read();
  const spoilt = values.data.findIndex((v) => !Number.isFinite(v));
  const negative = name.endsWith('.running_var') ? values.data.findIndex((v) => v < 0) : -1;
  const wrong = (at: number, problem: string) =>
    new CheckpointFileError(path, `number ${at} of ${name} is ${values.data[at]}${problem}`);
  if (spoilt >= 0)
    throw wrong(spoilt, `${dtype === 'float64' ? ' in float32' : ''}: the file is damaged, or the training failed`);
  if (negative >= 0)
    throw wrong(negative, ', but no variance is negative: the file is damaged, or the training failed');
  return values;
}

import type { Parameter } from '../graph/graph.js';
import { staticShape } from '../graph/shape.js';
import { networkParameters } from '../model/graphs.js';
import type { WeightSource } from '../model/weights.js';
import { buildNetwork, type Specification, withGrid } from '../networks/index.js';
import { type Checkpoint, CheckpointFileError } from './checkpoint.js';
import type { Given, Importer, Inferred } from './importer.js';
import { releasedIRevNet } from './irevnet.js';
import { torchvisionResNet } from './resnet.js';

export { type Checkpoint, CheckpointFileError, openCheckpoint } from './checkpoint.js';
export type { Given } from './importer.js';

/** Every family of checkpoints that can be imported. Adding one is one file and one line. */
export const importers: readonly Importer[] = [releasedIRevNet, torchvisionResNet];

/** A checkpoint's network, and its weights by the names of the network's parameters. */
export interface Imported extends Inferred {
  readonly description: string;
  readonly weights: WeightSource;
}

/**
 * Infers the network of a checkpoint and maps the checkpoint's tensors to the network's parameters.
 * @param specification the network, if it should not be inferred
 * @throws CheckpointFileError listing every tensor that is missing, surplus or misshapen; ConfigError
 */
export function importCheckpoint(checkpoint: Checkpoint, given: Given, specification?: Specification): Imported {
  const { path, tensors } = checkpoint;
  const importer = importers.find(({ recognises }) => recognises(new Set(tensors.keys())));
  if (!importer) {
    const some = [...tensors.keys()].slice(0, 4).join(', ');
    const known = importers.map(({ description }) => description).join('; ');
    throw new CheckpointFileError(path, `its tensors (${some}, …) are of no known network. Known are: ${known}`);
  }
  const inferred = specification ? { specification, assumptions: [] } : importer.infer(checkpoint, given);
  const regridded = given.grid === undefined ? inferred.specification : withGrid(inferred.specification, given.grid);
  const parameters = networkParameters(buildNetwork(regridded));
  const nameOf = importer.names(checkpoint);
  const problems = mismatches(checkpoint, parameters, nameOf);
  if (problems.length > 0)
    throw new CheckpointFileError(path, `${problems.length} tensors do not fit the network:\n${problems.join('\n')}`);
  return {
    specification: regridded,
    assumptions: inferred.assumptions,
    description: importer.description,
    weights: { get: (parameter) => finite(path, nameOf(parameter), tensors) },
  };
}

/** Counters that PyTorch stores beside the statistics; inference does not use them. */
const IGNORED = /(^|\.)num_batches_tracked$/;

function mismatches(
  checkpoint: Checkpoint,
  parameters: readonly Parameter[],
  nameOf: (name: string) => string,
): string[] {
  const { tensors } = checkpoint;
  const expected = new Map(parameters.map((p) => [nameOf(p.source.name), staticShape(p.type.shape)]));
  const wanted = [...expected].flatMap(([name, shape]) => {
    const found = tensors.get(name);
    if (!found) return [`  ${name} [${shape}] is missing`];
    return `${found.dims}` === `${shape}` ? [] : [`  ${name} has shape [${found.dims}], expected [${shape}]`];
  });
  const surplus = [...tensors].flatMap(([name, { dims }]) =>
    expected.has(name) || IGNORED.test(name) ? [] : [`  ${name} [${dims}] is surplus`],
  );
  return [...wanted, ...surplus];
}

async function finite(path: string, name: string, tensors: Checkpoint['tensors']) {
  const read = await tensors.get(name)!.read();
  const wrong = read.data.findIndex((v) => !Number.isFinite(v));
  if (wrong >= 0)
    throw new CheckpointFileError(
      path,
      `number ${wrong} of ${name} is ${read.data[wrong]}: the file is damaged, or the training failed`,
    );
  return read;
}

import { availableParallelism } from 'node:os';
import { Argument, Command, Option } from 'commander';
import { createModel } from '../../export/model/create.js';
import { configurations } from '../../export/networks/configurations.js';
import { addDataOptions, dataFlagNames } from './data.js';
import {
  isModelFolder,
  type NamedParts,
  type PartsFlags,
  randomParts,
  withRebuiltParts,
  withTrainedParts,
} from './export-parts.js';
import { exportToTriton, type TritonFlags, tritonOptions } from './export-triton.js';
import { cleanUpOnSignals } from './interrupt.js';
import { modelFolder, modelsOption } from './models-folder.js';
import { whole } from './numbers.js';
import { byteProgress } from './progress.js';

interface Flags extends PartsFlags, TritonFlags {
  name?: string;
  randomWeights: boolean;
}

/** `irevnet export`: makes a model folder of a trained run, of a model of another version or of random weights, or a Triton repository of a model. */
export const exportCommand = addDataOptions(
  new Command('export').description(
    'write Φ, Φ⁻¹, their weights and the manifest of a trained run, or a model for Triton',
  ),
)
  .addArgument(
    new Argument(
      '<source>',
      'run folder of `irevnet train`, or model folder to write anew; with --random-weights a network or a JSON file; with --triton the name of a model',
    ),
  )
  .option('--name <name>', 'name of the model (default: <network>-<dataset> of the run, or the network’s)')
  .addOption(modelsOption())
  .option('--grid <k>', 'put the streams on multiples of 2^-k; 0: plain floats (default: as configured)', whole(0))
  .option('--last', 'of a run that validated, take the last checkpoint instead of the best one')
  .option('--random-weights', 'a runnable model that has learned nothing, for tests and benchmarks', false)
  .option('--seed <n>', 'seed of random weights', whole(0), 1)
  .option('--labels <file>', 'class names, one a line, for random weights (default: numbers)')
  .option('--threads <n>', 'threads for measuring', whole(1), availableParallelism())
  .addOption(
    new Option(
      '--triton <folder>',
      'write Φ, Φ⁻¹ and the round trip of a model into this Triton model repository',
    ).conflicts(['name', 'grid', 'last', ...dataFlagNames, 'randomWeights', 'seed', 'labels', 'threads']),
  )
  .option('--json', 'print the manifest, or with --triton what was written, as JSON', false)
  .addHelpText('after', `\nNetworks: ${Object.keys(configurations).join(', ')}.`)
  .action((source: string, flags: Flags, command: Command) => {
    if (flags.triton !== undefined) return exportToTriton(source, flags.triton, flags);
    for (const option of tritonOptions) {
      const given = command.getOptionValue(option.attributeName()) !== undefined;
      if (given) command.error(`error: option '${option.flags}' needs --triton`);
    }
    return exportModel(source, flags);
  });
for (const option of tritonOptions) exportCommand.addOption(option);

async function exportModel(source: string, flags: Flags): Promise<void> {
  const write = async (parts: NamedParts) => {
    const folder = modelFolder(flags.models, flags.name ?? parts.name);
    const progress = byteProgress(process.stderr, 'weights');
    const manifest = await createModel(folder, { ...parts, progress });
    process.stdout.write(flags.json ? `${JSON.stringify(manifest)}\n` : `${folder}\n`);
  };
  const interrupted = cleanUpOnSignals();
  const withParts = isModelFolder(source) ? withRebuiltParts : withTrainedParts;
  await (flags.randomWeights ? randomParts(source, flags).then(write) : withParts(source, flags, write)).finally(
    interrupted.end,
  );
}

import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { openModel } from '../../export/model/open.js';
import { validate } from '../../export/model/validate.js';
import { datasets, select } from '../../export/train/dataset.js';
import { modelFolder, modelsOption } from './models-folder.js';
import { whole } from './numbers.js';

interface Flags {
  models: string;
  data?: string;
  images: number;
  threads: number;
  json: boolean;
}

/** `irevnet validate`: checks a model folder; exit code 1 when a check fails. */
export const validateCommand = new Command('validate')
  .description('check Φ and Φ⁻¹ against each other, against their configuration and against the manifest')
  .argument('<model>', 'name of the model')
  .addOption(modelsOption())
  .option('--data <folder>', 'where the data set with the test images lies (default: where Debian installs it)')
  .option('--images <n>', 'test images to try', whole(1), 500)
  .option('--threads <n>', 'threads', whole(1), availableParallelism())
  .option('--json', 'print the checks as JSON', false)
  .action(async (name: string, flags: Flags) => {
    const model = await openModel(modelFolder(flags.models, name));
    const dataset = datasets['fashion-mnist']!;
    const all = await dataset.load(flags.data ?? dataset.folder, 'test');
    const images = select(
      all,
      Array.from({ length: Math.min(flags.images, all.count) }, (_, i) => i),
    );
    const checks = await validate(model, images, flags.threads);
    for (const { check, outcome, detail } of checks) {
      if (!flags.json) process.stdout.write(`${outcome.padEnd(8)}${check}: ${detail}\n`);
    }
    if (flags.json) process.stdout.write(`${JSON.stringify({ model: name, checks })}\n`);
    if (checks.some((c) => c.outcome === 'failed')) process.exitCode = 1;
  });

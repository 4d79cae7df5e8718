import { Command, Option } from 'commander';
import { isInvertible, type Manifest } from '../../export/model/manifest.js';
import { type ModelSource, type ModelsFolder, readModel, readModels } from '../../export/model/models-folder.js';
import { readConfig, settingOption } from '../common/config.js';
import { exitCodes } from '../common/exit-codes.js';
import { modelsTable } from './models-table.js';

interface Flags {
  models?: string;
  json: boolean;
  table: boolean;
}

/** `irevnet models`: lists the models, or shows the manifest of one. */
export const modelsCommand = new Command('models')
  .description('list the models, or show what is known about one')
  .argument('[name]', 'name of a model')
  .addOption(settingOption('models'))
  .addOption(new Option('--json', 'print manifests as JSON').default(false).conflicts('table'))
  .option('--table', 'print a line a model, best first, as a table in Markdown', false)
  .action(async (name: string | undefined, { models, json, table }: Flags) => {
    const folder = readConfig(models === undefined ? {} : { models }).models;
    const found = name === undefined ? await readModels(folder) : only(await readModel(folder, name));
    const manifests = found.models.map(({ manifest }) => manifest);
    process.stdout.write(
      json
        ? `${JSON.stringify(name === undefined ? manifests : manifests[0])}\n`
        : table
          ? modelsTable(manifests)
          : manifests.map(asText).join('\n'),
    );
    for (const [name, { message }] of found.damaged) process.stderr.write(`irevnet: model ${name}: ${message}\n`);
    if (found.damaged.size > 0) process.exitCode = exitCodes['model-damaged'];
  });

const only = (source: ModelSource): ModelsFolder => ({ models: [source], damaged: new Map() });

function asText(manifest: Manifest): string {
  const { name, description, architecture, input, features, grid, labels, measured } = manifest;
  const inversion = measured?.inversion;
  const how = grid === null ? 'plain floats' : `exact, on multiples of 2^-${grid}`;
  const inverse = isInvertible(manifest) ? how : 'none';
  const lines = [
    name,
    `  ${description}`,
    `  parameters  ${architecture.parameters}`,
    `  input       ${input.height} × ${input.width} × ${input.channels}`,
    `  features    ${features.shape.join(' × ')}`,
    `  inverse     ${inverse}`,
    `  labels      ${labels.length > 12 ? `${labels.length} of them` : labels.join(', ')}`,
  ];
  if (measured && measured.accuracy !== null)
    lines.push(`  accuracy    ${(100 * measured.accuracy).toFixed(2)}% of ${measured.images} images`);
  if (inversion)
    lines.push(`  recovered   ${inversion.exactFloat} in every float, ${inversion.exactPixels} in every pixel`);
  return `${lines.join('\n')}\n`;
}

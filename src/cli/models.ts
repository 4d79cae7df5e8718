import { Command } from 'commander';
import { isInvertible, type Manifest } from '../../export/model/manifest.js';
import { type ModelSource, type ModelsFolder, readModel, readModels } from '../../export/model/models-folder.js';
import { readConfig, settingOption } from '../common/config.js';
import { exitCodes } from '../common/exit-codes.js';

interface Flags {
  models?: string;
  json: boolean;
}

/** `irevnet models`: lists the models, or shows the manifest of one. */
export const modelsCommand = new Command('models')
  .description('list the models, or show what is known about one')
  .argument('[name]', 'name of a model')
  .addOption(settingOption('models'))
  .option('--json', 'print manifests as JSON', false)
  .action(async (name: string | undefined, { models, json }: Flags) => {
    const folder = readConfig(models === undefined ? {} : { models }).models;
    const found = name === undefined ? await readModels(folder) : only(await readModel(folder, name));
    const manifests = found.models.map(({ manifest }) => manifest);
    const data = name === undefined ? manifests : manifests[0];
    process.stdout.write(json ? `${JSON.stringify(data)}\n` : manifests.map(asText).join('\n'));
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

import { Command } from 'commander';
import type { Invert } from '../images/steps.js';
import { type ReconstructFormat, reconstructFormats } from '../operations/formats.js';
import { inWords, reconstruct } from '../operations/reconstruct.js';
import { addEngineOptions, type EngineFlags, withEngine } from './engine.js';
import { formatOf, readInputs, writeOutput } from './files.js';
import { invertOption } from './invert.js';

interface Flags extends EngineFlags {
  output?: string;
  invert: Invert;
  json: boolean;
}

const formats = Object.keys(reconstructFormats) as ReconstructFormat[];

/** `irevnet reconstruct`: images, what comes back of them, and the difference. */
export const reconstructCommand = addEngineOptions(new Command('reconstruct'))
  .description('encode images, decode their features, and say how exactly the images come back')
  .argument('<images...>', 'image files; - is standard input')
  .option(
    '-o, --output <file.png>',
    'a contact sheet: what the network saw, what came back, and the residual, amplified; or the numbers, as .json',
  )
  .addOption(invertOption())
  .option('--json', 'print the numbers as JSON', false)
  .action(async (paths: string[], { output, json, invert, ...flags }: Flags) => {
    const format = output === undefined ? undefined : (formatOf(formats, { output }) ?? 'png');
    const files = await readInputs(paths);
    const result = await withEngine(flags, (engine) => reconstruct(engine, files, { invert, names: paths }));
    if (output !== undefined) await writeOutput(output, await reconstructFormats[format!](result));
    if (output === '-') return;
    const text = result.images.map((back) => `${back.name}: ${inWords(back)}\n`).join('');
    process.stdout.write(json ? `${JSON.stringify(reconstructFormats.json(result))}\n` : text);
  });

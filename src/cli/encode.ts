import { Command } from 'commander';
import type { Invert } from '../images/steps.js';
import { encode } from '../operations/encode.js';
import { type EncodeFormat, encodeFormats } from '../operations/formats.js';
import { addEngineOptions, type EngineFlags, withEngine } from './engine.js';
import { addOutputOptions, formatOf, type OutputFlags, readInputs, writeOutput } from './files.js';
import { invertOption } from './invert.js';

const formats = Object.keys(encodeFormats) as EncodeFormat[];

interface Flags extends EngineFlags, OutputFlags<EncodeFormat> {
  output: string;
  invert: Invert;
}

/** `irevnet encode`: images → features. */
export const encodeCommand = addOutputOptions(addEngineOptions(new Command('encode')), formats)
  .description('compute the features of images')
  .argument('<images...>', 'image files; - is standard input')
  .addOption(invertOption())
  .action(async (paths: string[], { output, format, invert, ...flags }: Flags) => {
    const chosen = formatOf(formats, { format, output }) ?? 'npy';
    const files = await readInputs(paths, 'encode');
    const encoded = await withEngine(flags, (engine) => encode(engine, files, { invert, names: paths }));
    await writeOutput(output, encodeFormats[chosen](encoded));
  });

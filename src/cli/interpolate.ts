import { Command } from 'commander';
import type { Invert } from '../images/steps.js';
import { type InterpolateFormat, interpolateFormats } from '../operations/formats.js';
import { DEFAULT_STEPS, interpolate } from '../operations/interpolate.js';
import { addEngineOptions, type EngineFlags, withEngine } from './engine.js';
import { addOutputOptions, formatOf, type OutputFlags, readInputs, writeOutput } from './files.js';
import { invertOption } from './invert.js';
import { whole } from './numbers.js';
import { enlarged, scaleOption } from './scale.js';

const formats = Object.keys(interpolateFormats) as InterpolateFormat[];

interface Flags extends EngineFlags, OutputFlags<InterpolateFormat> {
  output: string;
  steps: number;
  scale: number;
  invert: Invert;
}

/** `irevnet interpolate`: images between two images. */
export const interpolateCommand = addOutputOptions(addEngineOptions(new Command('interpolate')), formats)
  .description('make images on the line between the features of two images')
  .argument('<a>', 'image file that it starts from')
  .argument('<b>', 'image file that it ends at')
  .option('--steps <n>', 'frames, both ends included', whole(2), DEFAULT_STEPS)
  .addOption(scaleOption())
  .addOption(invertOption())
  .action(async (a: string, b: string, { output, format, steps, scale, invert, ...flags }: Flags) => {
    const chosen = formatOf(formats, { format, output }) ?? 'png';
    const [from, to] = await readInputs([a, b]);
    const frames = await withEngine(flags, (engine) =>
      interpolate(engine, from!, to!, { steps, invert, names: [a, b] }),
    );
    await writeOutput(output, await interpolateFormats[chosen](enlarged(frames, chosen, scale)));
  });

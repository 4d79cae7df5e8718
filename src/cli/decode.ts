import { Command } from 'commander';
import { decode } from '../operations/decode.js';
import { type DecodeFormat, decodeFormats } from '../operations/formats.js';
import { addEngineOptions, type EngineFlags, withEngine } from './engine.js';
import { addOutputOptions, formatOf, type OutputFlags, readInput, writeOutput } from './files.js';

const formats = Object.keys(decodeFormats) as DecodeFormat[];

interface Flags extends EngineFlags, OutputFlags<DecodeFormat> {
  output: string;
}

/** `irevnet decode`: features → images. */
export const decodeCommand = addOutputOptions(addEngineOptions(new Command('decode')), formats)
  .description('recover images from features')
  .argument('<features>', 'a .npy, safetensors or JSON file; - is standard input')
  .action(async (path: string, { output, format, ...flags }: Flags) => {
    const file = await readInput(path);
    const recovered = await withEngine(flags, (engine) => decode(engine, file, {}));
    const chosen = formatOf(formats, { format, output }) ?? (recovered.pixels.dims[0] === 1 ? 'png' : 'npy');
    await writeOutput(output, await decodeFormats[chosen](recovered));
  });

import { Command } from 'commander';
import { decode } from '../operations/decode.js';
import { type DecodeFormat, decodeFormats } from '../operations/formats.js';
import { addEngineOptions, type EngineFlags, withEngine } from './engine.js';
import { addOutputOptions, formatOf, type OutputFlags, readInputs, writeOutput } from './files.js';
import { enlarged, scaleOption } from './scale.js';

const formats = Object.keys(decodeFormats) as DecodeFormat[];

interface Flags extends EngineFlags, OutputFlags<DecodeFormat> {
  output: string;
  scale: number;
}

/** `irevnet decode`: features → images. */
export const decodeCommand = addOutputOptions(addEngineOptions(new Command('decode')), formats)
  .description('recover images from features')
  .argument('<features>', 'a .npy, safetensors or JSON file; - is standard input')
  .addOption(scaleOption())
  .action(async (path: string, { output, format, scale, ...flags }: Flags) => {
    const given = formatOf(formats, { format, output });
    const [file] = await readInputs([path], 'invert');
    const recovered = await withEngine(flags, (engine) => decode(engine, file!, {}));
    const chosen = given ?? (recovered.pixels.dims[0] === 1 ? 'png' : 'npy');
    await writeOutput(output, await decodeFormats[chosen](enlarged(recovered, chosen, scale)));
  });

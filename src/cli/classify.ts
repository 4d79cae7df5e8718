import { Command } from 'commander';
import type { Invert } from '../images/steps.js';
import { type Classified, classify } from '../operations/classify.js';
import { addEngineOptions, type EngineFlags, withEngine } from './engine.js';
import { readInputs } from './files.js';
import { invertOption } from './invert.js';
import { whole } from './numbers.js';

interface Flags extends EngineFlags {
  topK?: number;
  invert: Invert;
  json: boolean;
}

/** `irevnet classify`: what images show. */
export const classifyCommand = addEngineOptions(new Command('classify'))
  .description('say what images show')
  .argument('<images...>', 'image files; - is standard input')
  .option('--top-k <n>', 'labels for each image, best first (default: 5)', whole(1))
  .addOption(invertOption())
  .option('--json', 'print the result as JSON', false)
  .action(async (paths: string[], { json, topK, invert, ...flags }: Flags) => {
    const files = await readInputs(paths, 'classify');
    const result = await withEngine(flags, (engine) => classify(engine, files, { topK, invert, names: paths }));
    process.stdout.write(json ? `${JSON.stringify(result)}\n` : asText(paths, result));
  });

function asText(paths: readonly string[], { predictions }: Classified): string {
  const lines = predictions.flatMap(({ top, image }, i) => [
    `${paths[i]}${image.done.length > 0 ? `  (${image.done.join(', ')})` : ''}`,
    ...top.map(({ label, probability }) => `  ${(100 * probability).toFixed(1).padStart(5)}%  ${label}`),
  ]);
  return `${lines.join('\n')}\n`;
}

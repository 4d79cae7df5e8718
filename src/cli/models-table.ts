import { forwardGraph } from '../../export/model/graphs.js';
import { wilson } from '../../export/model/interval.js';
import { isInvertible, type Manifest } from '../../export/model/manifest.js';
import { specificationOf } from '../../export/model/open.js';
import { multiplyAdds } from '../../export/model/work.js';
import { buildNetwork } from '../../export/networks/index.js';

const heads = [
  'model',
  'network',
  'parameters',
  'multiply-adds',
  'test images',
  'test error',
  '95% interval',
  'inverse',
];

/** What is known of models from their manifests, a line each: a table in Markdown, best first. */
export function modelsTable(manifests: readonly Manifest[]): string {
  const errorOf = ({ measured }: Manifest) => 1 - (measured?.accuracy ?? 0);
  const lines = [...manifests].sort((a, b) => errorOf(a) - errorOf(b)).map(cells);
  const rule = heads.map((_, i) => (i < 2 ? '---' : '---:'));
  const widths = heads.map((_, i) => Math.max(...[heads, rule, ...lines].map((line) => line[i]!.length)));
  const row = (line: readonly string[]) =>
    `| ${line.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |\n`;
  return [heads, rule, ...lines].map(row).join('');
}

function cells(manifest: Manifest): string[] {
  const { name, architecture, measured } = manifest;
  const work = multiplyAdds(forwardGraph(buildNetwork(specificationOf(manifest))));
  return [
    name,
    kindOf(manifest),
    millions(architecture.parameters),
    millions(work),
    measured ? `${measured.images} of ${measured.data.replace(/ test images$/, '')}` : '–',
    ...errorIn(measured),
    inverseOf(manifest),
  ];
}

/** The architecture, and of an i-RevNet which of the paper's two. */
function kindOf({ architecture: { name, config } }: Manifest): string {
  if (name !== 'irevnet') return name;
  return config.injective ? 'irevnet, injective' : 'irevnet, bijective';
}

const millions = (n: number): string => `${(n / 1e6).toFixed(n < 1e7 ? 2 : 0)} M`;
const percent = (share: number): string => `${(100 * share).toFixed(2)}%`;

function errorIn(measured: Manifest['measured']): [error: string, interval: string] {
  if (measured?.accuracy == null) return ['–', '–'];
  const { accuracy, images } = measured;
  const [low, high] = wilson(Math.round(accuracy * images), images);
  return [percent(1 - accuracy), `${percent(1 - high)} to ${percent(1 - low)}`];
}

function inverseOf(manifest: Manifest): string {
  if (!isInvertible(manifest)) return 'none';
  const { measured, grid } = manifest;
  if (!measured?.inversion) return grid === null ? 'in floats' : 'exact';
  const { exactFloat, relativeErrorMax } = measured.inversion;
  return exactFloat === measured.images
    ? `all ${measured.images} exact`
    : `error ≤ ${relativeErrorMax.toExponential(1)}`;
}

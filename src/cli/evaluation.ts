import type { Part } from '../../export/data/index.js';
import type { Unreadable } from '../../export/data/source.js';
import type { Inversion } from '../../export/model/manifest.js';

/** Images of which something holds: their number and share, and the share's 95% interval. */
export interface Share {
  readonly images: number;
  readonly share: number;
  readonly interval: readonly [low: number, high: number];
}

/** What `irevnet evaluate` prints. */
export interface Evaluation {
  readonly model: string;
  /** What was measured on; null: noise. */
  readonly data: { readonly name: string; readonly path: string; readonly format: string; readonly part: Part } | null;
  /** Images that could be read. */
  readonly images: number;
  readonly unreadable: { readonly images: number; readonly first: readonly Unreadable[] };
  /** null on noise, as are the figures that need labels. */
  readonly accuracy: number | null;
  readonly top1: Share | null;
  readonly top5: Share | null;
  /** counts[i][j]: images of class i whose highest score was class j's. */
  readonly confusion: { readonly labels: readonly string[]; readonly counts: readonly (readonly number[])[] } | null;
  /** null where there is no inverse. */
  readonly inversion: Inversion | null;
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

/** A confusion matrix of more classes is shown by its largest entries alone. */
const WHOLE = 20;
const LARGEST = 10;

const percent = (share: number): string => `${(100 * share).toFixed(2)}%`;
const shown = ({ images, share, interval: [low, high] }: Share): string =>
  `${percent(share)}  (${images} images; 95% interval ${percent(low)} to ${percent(high)})`;

/** The figures of an evaluation for a reader. */
export function evaluationTable(evaluation: Evaluation): string {
  const { model, data, images, unreadable, top1, top5, inversion, imagesPerSecond } = evaluation;
  const lines = [
    ['model', model],
    ['data', data ? `${data.name}, ${data.part} part, ${data.format}: ${data.path}` : 'noise'],
    ['images', `${images}${unreadable.images > 0 ? `, and ${unreadable.images} that cannot be read` : ''}`],
    ...unreadable.first.map(({ file, reason }) => ['', `${file}: ${reason}`]),
    ...(top1 ? [['top-1', shown(top1)]] : []),
    ...(top5 ? [['top-5', shown(top5)]] : []),
    ...(inversion
      ? [
          [
            'inversion',
            `${inversion.exactFloat} of ${images} in every float32 bit, ${inversion.exactPixels} in every pixel`,
          ],
          [
            '',
            `relative error ${inversion.relativeErrorMean.toExponential(1)} mean, ${inversion.relativeErrorMax.toExponential(1)} max`,
          ],
        ]
      : [['inversion', 'the network has no inverse']]),
    ['speed', `${imagesPerSecond} images/s`],
  ];
  return `${lines.map(([name, value]) => `${name!.padEnd(11)}${value}`).join('\n')}\n${confusionTable(evaluation)}`;
}

function confusionTable({ confusion }: Evaluation): string {
  if (!confusion) return '';
  return confusion.labels.length <= WHOLE ? matrix(confusion) : largest(confusion);
}

type Confusion = NonNullable<Evaluation['confusion']>;

/** Rows are the classes of the images, columns those that were found, by their numbers. */
function matrix({ labels, counts }: Confusion): string {
  const name = Math.max(...labels.map(({ length }) => length)) + 4;
  const wide = Math.max(...counts.flat().map((count) => String(count).length), 3) + 1;
  const head = ' '.repeat(name) + labels.map((_, i) => String(i).padStart(wide)).join('');
  const rows = counts.map(
    (row, i) =>
      `${`${i} ${labels[i]}`.padEnd(name)}${row.map((n) => (n === 0 ? '·' : String(n)).padStart(wide)).join('')}`,
  );
  return `\nimages by class (rows) and by the class with the highest score (columns)\n${[head, ...rows].join('\n')}\n`;
}

function largest({ labels, counts }: Confusion): string {
  const wrong = counts.flatMap((row, i) => row.flatMap((n, j) => (i === j || n === 0 ? [] : [{ n, i, j }])));
  const first = wrong.sort((a, b) => b.n - a.n).slice(0, LARGEST);
  if (first.length === 0) return '';
  return `\nmost often taken for another class\n${first.map(({ n, i, j }) => `${String(n).padStart(6)}  ${labels[i]} as ${labels[j]}`).join('\n')}\n`;
}

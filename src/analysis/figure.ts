import { spawn } from 'node:child_process';
import { buffer, text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Config, TopLevelSpec } from 'vega-lite';

/** A Vega-Lite specification with its data inside. https://vega.github.io/vega-lite/docs/spec.html */
export type Figure = Omit<TopLevelSpec, '$schema' | 'config'>;

/** Colours that colour-blind readers tell apart (Okabe and Ito 2008), the darkest first. */
export const colours = [
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#000000',
  '#F0E442',
] as const;

const FONT = 'DejaVu Sans, Verdana, sans-serif';

/** The look of every figure. */
const look: Config = {
  font: FONT,
  background: 'white',
  padding: 12,
  view: { stroke: null, continuousWidth: 340, continuousHeight: 240 },
  title: { anchor: 'start', fontSize: 14, fontWeight: 'bold', offset: 12, subtitleFontSize: 11, subtitleColor: '#555' },
  axis: { titleFontSize: 12, labelFontSize: 11, titleFontWeight: 'normal', gridColor: '#e4e4e4', domainColor: '#666' },
  header: { titleFontSize: 12, labelFontSize: 12 },
  legend: { titleFontSize: 12, labelFontSize: 11 },
  range: { category: [...colours] },
  mark: { color: colours[0] },
  line: { strokeWidth: 2 },
  point: { filled: true, size: 45 },
  text: { fontSize: 11 },
};

/** The whole specification, as editors of Vega-Lite read it. */
export const specification = (figure: Figure): TopLevelSpec =>
  ({ $schema: 'https://vega.github.io/schema/vega-lite/v6.json', config: look, ...figure }) as TopLevelSpec;

/**
 * Draws a figure as SVG. Vega is large, and loaded only here.
 * @param labels for screen readers at every mark; a page that labels the whole figure leaves them out
 */
export async function drawSvg(figure: Figure, { labels = true } = {}): Promise<string> {
  const [{ parse, View }, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  const spec = specification(figure);
  const view = new View(parse(compile({ ...spec, config: { ...spec.config, aria: labels } }).spec), {
    renderer: 'none',
  });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** Pixels of a PNG a unit of the figure. */
const SCALE = 2;
const POINTS_PER_INCH = 72;

/** Draws an SVG as PNG, in a process that reads SVG: see svg-to-png.ts. */
async function drawPng(svg: string): Promise<Buffer> {
  const program = fileURLToPath(new URL('./svg-to-png.js', import.meta.url));
  const child = spawn(process.execPath, [program, String(SCALE * POINTS_PER_INCH)]);
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  // When the program fails, its exit code and its words say so, not the pipe that broke.
  child.stdin.on('error', () => {}).end(svg);
  const [png, words, code] = await Promise.all([buffer(child.stdout), text(child.stderr), ended]);
  if (code !== 0) throw new Error(`the figure could not be drawn as PNG: ${words.trim().split('\n').at(-1) || code}`);
  return png;
}

/** What a figure can be written as, by the ending of its file. */
export const figureFormats = {
  svg: async (figure: Figure) => Buffer.from(await drawSvg(figure)),
  png: async (figure: Figure) => drawPng(await drawSvg(figure)),
  json: async (figure: Figure) => Buffer.from(`${JSON.stringify(specification(figure), null, 2)}\n`),
} as const satisfies Readonly<Record<string, (figure: Figure) => Promise<Buffer>>>;
export type FigureFormat = keyof typeof figureFormats;

import t from 'tap';
import { Type } from 'typebox';
import { eachExperiment, type Outcome } from '../../../src/analysis/each.js';
import { AnalysisError } from '../../../src/analysis/errors.js';
import { type Experiment, experiment } from '../../../src/analysis/experiment.js';
import { experiments } from '../../../src/analysis/experiments.js';
import type { Figure } from '../../../src/analysis/figure.js';
import { html } from '../../../src/report/html.js';
import { chapterOf, inOrder, judged, writeReport } from '../../../src/report/report.js';
import { style } from '../../../src/report/style.js';
import { contextOf } from '../../helpers/experiments.js';
import { miniature, someImages } from '../../helpers/networks.js';

const about = { title: 'A <b>title</b>', facts: { Model: 'small & random', Command: "irevnet report 'a b'" } };

/** An experiment of this test, without a chapter. */
const one = (name: string, run: Experiment['run'], figure: Experiment['figure']): Experiment =>
  experiment({
    name,
    title: `About ${name}`,
    description: `measures ${name}`,
    needs: {},
    options: Type.Object({}),
    result: Type.Unknown(),
    run,
    figure,
  });
const dot = (): Figure => ({ data: { values: [{ a: 1 }] }, mark: 'point', encoding: {} }) as unknown as Figure;

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Quick ones. */
const options: Readonly<Record<string, object>> = {
  inversion: { images: 4, grids: [0], scales: [4], depths: [1], byDepth: 2 },
  conditioning: { images: 1, depths: [1], method: 'lanczos', steps: 4, wanted: 1 },
  separability: { depths: [0, 6], controls: false },
  pca: { components: [1, 5], points: 5 },
  contraction: { depths: [0, 6], streams: 20, neighbours: 20 },
  neighbours: { images: 2, neighbours: 2, depths: [6] },
  interpolation: { pairs: 2, steps: 3, shown: 1, grid: 2, perClass: 2 },
  metamers: { pairs: 2, steps: 1, shown: 1 },
  robustness: { images: 20, strengths: [4], spectra: 3 },
  image: { spectrum: false, depths: [1], channels: 2 },
};

async function run(t: Parameters<typeof contextOf>[0]): Promise<Outcome[]> {
  const context = await contextOf(t, { count: 40 });
  const train = await someImages('train');
  const data = {
    ...context.data!,
    train: { ...train, count: 60, pixels: train.pixels.subarray(0, 60 * 784), labels: train.labels.subarray(0, 60) },
  };
  return all(eachExperiment({ ...context, data }, inOrder(Object.values(experiments)), ({ name }) => options[name]!));
}

/** Contrast of two colours, 1 to 21. WCAG 2.2, relative luminance */
function contrast(a: string, b: string): number {
  const luminance = (colour: string) => {
    const named: Readonly<Record<string, string>> = { white: '#ffffff', black: '#000000' };
    const digits = (named[colour] ?? colour).slice(1);
    const six = digits.length === 3 ? [...digits].map((d) => d + d).join('') : digits;
    const [r, g, b] = [0, 2, 4].map((i) => {
      const v = Number.parseInt(six.slice(i, i + 2), 16) / 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    }) as [number, number, number];
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

t.test('a report of every experiment on a small network: one file that needs nothing else', async (t) => {
  const outcomes = await run(t);
  // Random weights may classify too few images rightly; that is said.
  for (const { experiment, ...ending } of outcomes)
    t.not(ending.kind, 'failed', `${experiment.name} ${ending.kind === 'done' ? '' : ending.reason}`);
  t.ok(outcomes.filter(({ kind }) => kind === 'done').length >= 9);
  const page = await writeReport(about, outcomes);
  t.match(page, /^<!doctype html>\n<html lang="en">/);
  t.notMatch(page, /<script|<link|@import|\son\w+="/, 'no script, no style sheet of elsewhere');
  const addresses = [...page.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, address]) => address!);
  t.same(
    addresses.filter((address) => !/^(#|data:image\/webp;)/.test(address)),
    [],
    'nothing is asked for',
  );
  const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
  t.equal(new Set(ids).size, ids.length, 'ids differ');
  for (const [, id] of page.matchAll(/url\(#([^)]*)\)/g)) t.ok(ids.includes(id), id!);
  for (const { experiment } of outcomes) {
    t.ok(page.includes(`<section id="${experiment.name}">`));
    t.ok(page.includes(html`${chapterOf(experiment)!.measures}`.html));
  }
  for (const { claim, verdict } of outcomes.flatMap(judged)) {
    t.ok(
      page.includes(html`${claim.says}`.html) && page.includes(html`${claim.threshold}`.html) && page.includes(verdict),
    );
  }
  t.match(page, '<h1>A &lt;b&gt;title&lt;/b&gt;</h1>');

  const texts = new Set([...page.matchAll(/<text [^>]*fill="([^"]*)"/g)].map(([, fill]) => fill!));
  t.ok(texts.has('#000') && texts.size > 2);
  const darkened = (colour: string) =>
    new RegExp(`\\[fill="${colour}"\\] \\{ fill: (#[0-9a-f]+)`).exec(style)?.[1] ?? colour;
  for (const fill of texts) {
    if (fill === 'white') continue; // The halo of a label.
    t.ok(contrast(fill, 'white') >= 3, `${fill} on white: ${contrast(fill, 'white')}`);
    t.ok(contrast(darkened(fill), darkened('white')) >= 4.5, `${darkened(fill)} on a dark ground`);
  }
});

t.test('an experiment that fails, or cannot run, does not lose the others', async (t) => {
  const context = await contextOf(t);
  const chosen = [
    one('broken', () => Promise.reject(new Error('the <disk> is full')), dot),
    one('refused', () => Promise.reject(new AnalysisError('data-missing', 'there are no images')), dot),
    one(
      'undrawn',
      async () => 1,
      () => {
        throw new Error('no such mark');
      },
    ),
    one('fine', async () => 2, dot),
  ];
  const outcomes = await all(eachExperiment(context, chosen));
  t.match(outcomes, [
    { kind: 'failed', reason: 'the <disk> is full' },
    { kind: 'skipped', reason: 'there are no images' },
    { kind: 'done', result: 1 },
    { kind: 'done', result: 2 },
  ]);
  const page = await writeReport(about, outcomes);
  t.match(page, 'Failed: broken.');
  t.match(page, '<strong>Failed:</strong> the &lt;disk&gt; is full.');
  t.match(page, '<strong>Not run:</strong> there are no images.');
  t.match(page, 'The figure could not be drawn: no such mark.');
  t.match(
    page,
    /<section id="fine">\n<h2>About fine<\/h2>\n<p>measures fine<\/p>[\s\S]*<svg role="img" aria-label="Figure: About fine"/,
  );
});

t.test('cancelling ends it all', async (t) => {
  const cancel = new AbortController();
  const context = { ...(await contextOf(t)), signal: cancel.signal };
  const cancelled = one('cancelled', async () => cancel.abort(new Error('enough')), dot);
  await t.rejects(all(eachExperiment(context, [cancelled])), /enough/);
});

t.test('of a network without inverse: what needs one is not testable, with the reason', async (t) => {
  const context = await contextOf(t, { network: { architecture: 'resnet', config: miniature.resnet } });
  const chosen = inOrder(['metamers', 'inversion'].map((name) => experiments[name]!));
  t.same(
    chosen.map(({ name }) => name),
    ['inversion', 'metamers'],
    'in the order of the chapters',
  );
  const outcomes = await all(eachExperiment(context, chosen));
  const verdicts = outcomes.flatMap(judged);
  t.equal(verdicts.length, 5);
  for (const { verdict, because } of verdicts) {
    t.equal(verdict, 'not testable on this model');
    t.match(because, 'the network of random has none; choose an invertible network');
  }
  t.match(await writeReport(about, outcomes), '0 hold, 0 do not hold, 5 cannot be tested on this model');
});

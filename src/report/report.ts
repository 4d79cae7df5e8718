import type { Outcome } from '../analysis/each.js';
import type { Experiment } from '../analysis/experiment.js';
import { drawSvg } from '../analysis/figure.js';
import { type Chapter, type Claim, type Finding, type Judgement, untestable } from './chapter.js';
import { chapters } from './chapters/index.js';
import { type Html, html, verbatim } from './html.js';
import { slim } from './slim.js';
import { style } from './style.js';

/** What was run: the first thing that a reader needs to know. */
export interface About {
  readonly title: string;
  /** Names and what they are: the model, the data, the date … */
  readonly facts: Readonly<Record<string, string>>;
}

/** A claim with what this run says of it. */
export interface Judged extends Judgement {
  readonly claim: Claim<unknown>;
}

/** An outcome in the words of its chapter. */
interface Section {
  readonly outcome: Outcome;
  readonly chapter: Chapter | undefined;
  readonly judged: readonly Judged[];
}

export const chapterOf = ({ name }: Pick<Experiment, 'name'>): Chapter | undefined =>
  chapters.find(({ experiment }) => experiment === name);

/** The experiments in the order of the chapters, those without one at the end. */
export function inOrder(experiments: readonly Experiment[]): Experiment[] {
  const place = ({ name }: Experiment) => {
    const found = chapters.findIndex(({ experiment }) => experiment === name);
    return found < 0 ? chapters.length : found;
  };
  return [...experiments].sort((a, b) => place(a) - place(b));
}

/** What a run says of each claim of its chapter. A run that failed says nothing. */
export function judged(outcome: Outcome): Judged[] {
  const claims = chapterOf(outcome.experiment)?.claims ?? [];
  if (outcome.kind === 'failed') return [];
  return claims.map((claim) => ({
    claim,
    ...(outcome.kind === 'done' ? claim.judge(outcome.result) : untestable(outcome.reason)),
  }));
}

/** A report: one HTML file that needs nothing else, neither script nor network. */
export async function writeReport({ title, facts }: About, outcomes: readonly Outcome[]): Promise<string> {
  const sections = outcomes.map((outcome) => ({
    outcome,
    chapter: chapterOf(outcome.experiment),
    judged: judged(outcome),
  }));
  const bodies: Html[] = [];
  for (const section of sections) bodies.push(await sectionOf(section));
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${title}</title>
<style>${verbatim(style)}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<p>${summary(sections)}</p>
<dl>${Object.entries(facts).map(([name, what]) => html`<dt>${name}</dt><dd>${name === 'Command' ? html`<code>${what}</code>` : what}</dd>`)}</dl>
${overview(sections)}
</header>
<main>
${bodies}
</main>
</body>
</html>
`;
  return page.html;
}

function summary(sections: readonly Section[]): string {
  const all = sections.flatMap(({ judged }) => judged);
  const count = (verdict: string) => all.filter((one) => one.verdict === verdict).length;
  const parts = [
    `${count('holds')} hold`,
    `${count('does not hold')} do not hold`,
    `${count('not testable on this model')} cannot be tested on this model`,
  ];
  const failed = sections.filter(({ outcome }) => outcome.kind === 'failed');
  const words = failed.map(({ outcome }) => outcome.experiment.name).join(', ');
  return `${sections.length} experiments were run, and ${all.length} statements about invertible networks tested: ${parts.join(', ')}. A verdict is about this model, these images and the threshold beside it, no more.${failed.length > 0 ? ` Failed: ${words}.` : ''}`;
}

const classes = { holds: 'holds', 'does not hold': 'fails', 'not testable on this model': 'open' } as const;

const badge = ({ verdict }: Judgement): Html => html`<span class="verdict ${classes[verdict]}">${verdict}</span>`;

function overview(sections: readonly Section[]): Html {
  const rows = sections.flatMap(({ outcome: { experiment }, judged }) =>
    judged.map(
      (one) =>
        html`<tr><td><a href="#${experiment.name}">${experiment.title}</a></td><td>${one.claim.says}</td><td>${badge(one)}</td></tr>\n`,
    ),
  );
  return rows.length === 0
    ? html``
    : html`<div class="scroll"><table>
<thead><tr><th scope="col">Experiment</th><th scope="col">Statement</th><th scope="col">Verdict</th></tr></thead>
<tbody>
${rows}</tbody></table></div>`;
}

async function sectionOf({ outcome, chapter, judged }: Section): Promise<Html> {
  const { experiment, seconds } = outcome;
  return html`<section id="${experiment.name}">
<h2>${experiment.title}</h2>
<p>${chapter?.measures ?? experiment.description}</p>
${judged.map(quoted)}
${outcome.kind === 'done' ? await shown(experiment, outcome.result) : reason(outcome)}
${outcome.kind === 'done' && chapter && table(chapter.findings(outcome.result))}
${outcome.kind === 'done' && html`<p><cite>Computed in ${seconds < 10 ? seconds.toFixed(1) : seconds.toFixed(0)} s.</cite></p>`}
</section>
`;
}

const reason = (outcome: Extract<Outcome, { reason: string }>): Html =>
  outcome.kind === 'skipped'
    ? html`<p><strong>Not run:</strong> ${outcome.reason}.</p>`
    : html`<p class="fails"><strong>Failed:</strong> ${outcome.reason}.</p>`;

const quoted = (one: Judged): Html => html`<blockquote>
<p>${one.claim.says} <cite>(${one.claim.source})</cite></p>
<p>${badge(one)}: ${one.because}. <cite>It holds if ${one.claim.threshold}.</cite></p>
</blockquote>
`;

/** A figure as inline SVG; a sentence where it cannot be drawn. */
async function shown({ name, title, figure }: Experiment, result: unknown): Promise<Html> {
  try {
    const svg = await slim(await drawSvg(figure(result), { labels: false }));
    return html`<figure>${verbatim(inline(svg, name, title))}</figure>`;
  } catch (error) {
    return html`<p class="fails">The figure could not be drawn: ${(error as Error).message}.</p>`;
  }
}

/** An SVG as a part of a page: ids of its own, and one label for all of it. */
const inline = (svg: string, name: string, title: string): string =>
  svg
    .replace(/\bid="([^"]+)"/g, `id="${name}-$1"`)
    .replace(/url\(#([^)]+)\)/g, `url(#${name}-$1)`)
    .replace('<svg ', html`<svg role="img" aria-label="Figure: ${title}" `.html);

function table(findings: readonly Finding[]): Html {
  const has = (key: 'interval' | 'control') => findings.some((row) => row[key] !== undefined);
  const [interval, control] = [has('interval'), has('control')];
  const heads = ['Number', 'Value', ...(interval ? ['95% interval'] : []), ...(control ? ['Beside it'] : [])];
  return html`<div class="scroll"><table>
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>
${findings.map(
  (
    row,
  ) => html`<tr><td>${row.what}</td><td class="number">${row.value}</td>${interval && html`<td class="number">${row.interval ?? ''}</td>`}${control && html`<td>${row.control ?? ''}</td>`}</tr>
`,
)}</tbody></table></div>`;
}

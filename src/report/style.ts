/** Colours of the figures, and what they become on a dark ground. Figures are drawn for a light one. */
const inTheDark: Readonly<Record<string, string>> = {
  white: '#15181b',
  black: '#e8eaec',
  '#000': '#e8eaec',
  '#000000': '#e8eaec',
  '#555': '#a9afb5',
  '#666': '#a9afb5',
  '#888': '#8b9197',
  '#e4e4e4': '#33383d',
  '#0072B2': '#4aa8e8',
  '#D55E00': '#f58a42',
  '#009E73': '#2dc49a',
  '#CC79A7': '#e09cc3',
};

const darkened = Object.entries(inTheDark)
  .flatMap(([from, to]) => ['fill', 'stroke'].map((what) => `  figure svg [${what}="${from}"] { ${what}: ${to}; }`))
  .join('\n');

/** The look of a report: on screens light or dark, as the reader's system is, and on paper. */
export const style = `
:root { color-scheme: light dark; --ink: #1b1e21; --soft: #555b61; --line: #d9dde1; --paper: #fff; --holds: #14692d; --fails: #a6280f; --open: #555b61; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e8eaec; --soft: #a9afb5; --line: #33383d; --paper: #15181b; --holds: #5fd082; --fails: #ff8b70; --open: #a9afb5; }
${darkened}
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 64rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 Charter, 'Bitstream Charter', 'Source Serif 4', Georgia, 'DejaVu Serif', serif; }
h1, h2, h3, table, figcaption, dl, .verdict, nav { font-family: system-ui, 'DejaVu Sans', Verdana, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 3.5rem 0 .5rem; padding-top: 1.25rem; border-top: 1px solid var(--line); }
p { max-width: 46rem; }
a { color: inherit; }
code { font: .85em 'DejaVu Sans Mono', Consolas, monospace; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.25rem; margin: 1.25rem 0; font-size: .875rem; }
dt { color: var(--soft); }
dd { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .8125rem; line-height: 1.4; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
.verdict { font-weight: 700; white-space: nowrap; }
.holds { color: var(--holds); }
.fails { color: var(--fails); }
.open { color: var(--open); }
blockquote { margin: 1.25rem 0; padding: .1rem 0 .1rem 1rem; border-left: 3px solid var(--line); }
blockquote p { margin: .35rem 0; }
cite { color: var(--soft); font-style: normal; }
figure { margin: 1.5rem 0; }
figure svg { display: block; max-width: 100%; height: auto; font-family: 'DejaVu Sans', Verdana, sans-serif; }
figcaption { color: var(--soft); font-size: .8125rem; }
@media print {
  @page { margin: 18mm 16mm; }
  body { padding: 0; max-width: none; font-size: 10pt; }
  h2 { margin-top: 1.5rem; break-after: avoid; }
  figure svg { max-height: 225mm; max-width: 100%; width: auto; margin: 0 auto; }
  figure, tr, blockquote { break-inside: avoid; }
}
`;

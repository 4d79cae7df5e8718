import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { packagePath } from '../../export/files/package.js';
import { exitCodes } from '../../src/common/exit-codes.js';
import { createMetrics } from '../../src/observe/metrics.js';
import { form, randomModels, raw, service } from '../helpers/app.js';
import { type Family, parseExposition } from '../helpers/exposition.js';
import { pngOf } from '../helpers/images.js';
import { miniature, someImages } from '../helpers/networks.js';

/** A series in an expression. Labels of a grouping count for each of its series. */
interface Selection {
  readonly metric: string;
  readonly labels: readonly string[];
  /** Values that the expression compares labels with. */
  readonly values: readonly (readonly [label: string, value: string])[];
}

/** Words of PromQL that are neither functions nor series. */
const WORDS = new Set(['by', 'without', 'and', 'or', 'unless', 'on', 'ignoring', 'offset', 'bool', 'group_left']);
/** Labels that Prometheus adds to every series, and its own series of targets. */
const SCRAPED = ['job', 'instance'];
const OF_TARGETS = 'up';
/** Labels of which a few requests do not produce every value. */
const OPEN_LABELS = [...SCRAPED, 'status'];

/** The series in a PromQL expression; reads the part of the language that dashboard and alerts use. */
function seriesOf(expression: string): Selection[] {
  const grouped = [...expression.matchAll(/\b(?:by|on)\s*\(([^)]*)\)/g)].flatMap(([, names]) => names!.split(','));
  const bare = expression.replace(/\b(?:by|on)\s*\([^)]*\)/g, '').replace(/\[[^\]]*\]|\boffset\s+\w+/g, '');
  return [...bare.matchAll(/([a-zA-Z_:][\w:]*)\s*(\(|\{([^}]*)\})?/g)].flatMap(([, word, next, inside = '']) => {
    if (next === '(' || WORDS.has(word!)) return [];
    const matchers = [...inside.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"/g)];
    const labels = [...matchers.map(([, label]) => label!), ...grouped.map((name) => name.trim()).filter(Boolean)];
    const values = matchers.flatMap(([, label, operator, v]) => (operator === '=' ? [[label!, v!] as const] : []));
    return [{ metric: word!, labels, values }];
  });
}

/** The mistakes in an expression, given the series that a service exposes. */
function mistakes(expression: string, families: ReadonlyMap<string, Family>): string[] {
  const selections = seriesOf(expression);
  if (selections.length === 0) return ['names no series'];
  return selections.flatMap(({ metric, labels, values }) => {
    if (metric === OF_TARGETS) return [];
    const [, base, suffix] = /^(.*?)(_bucket|_sum|_count)?$/.exec(metric)!;
    const family = families.get(base!) ?? families.get(metric);
    if (!family) return [`there is no ${metric}`];
    if ((family.type === 'histogram') !== (suffix !== undefined)) return [`${metric} is a ${family.type}`];
    const samples = family.samples.filter(({ name }) => name === metric);
    const known = new Set([...SCRAPED, ...samples.flatMap((s) => Object.keys(s.labels))]);
    const wrong = labels.filter((label) => !known.has(label)).map((label) => `${metric} has no label ${label}`);
    const closed = values.filter(([label]) => known.has(label) && !OPEN_LABELS.includes(label));
    const missing = closed.filter(([label, value]) => !samples.some((s) => s.labels[label] === value));
    return [...wrong, ...missing.map(([label, value]) => `${metric} never has ${label}="${value}"`)];
  });
}

/** The metrics that a service on a machine with a GPU exposes after a few requests. */
async function exposed(t: Test): Promise<Map<string, Family>> {
  const gpus = async () => [{ index: '0', utilization: 0.5, used: 1, total: 2 }];
  const models = await randomModels(t, { miniature: { config: miniature.irevnet } });
  const { app } = await service(t, { models, model: 'miniature' }, createMetrics(gpus));
  const png = await pngOf(await someImages('test'), 0);
  const upload = await form(['file', png], ['file', png]);
  const features = await app.inject({ method: 'POST', url: '/encode', ...upload });
  await app.inject({ method: 'POST', url: '/decode', ...raw(features.rawPayload) });
  await app.inject('/nowhere');
  return parseExposition((await app.inject('/metrics')).payload);
}
const families = await exposed(t);

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string; readonly refId: string }[];
}

t.test('a wrong expression is recognised', async (t) => {
  const families = parseExposition(
    '# HELP a_total x\n# TYPE a_total counter\na_total{state="up"} 1\n# HELP h x\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
  );
  for (const right of [
    'rate(a_total{state="up", job="x"}[5m]) > 0',
    'sum by (le) (rate(h_bucket[5m] offset 1h))',
    'h_sum',
  ]) {
    t.same(mistakes(right, families), [], right);
  }
  for (const wrong of [
    'b_total',
    'h',
    'a_total_sum',
    'a_total{mode="x"}',
    'a_total{state="off"}',
    'sum by (x) (a_total)',
    '1',
  ]) {
    t.equal(mistakes(wrong, families).length, 1, wrong);
  }
});

t.test('the dashboard uses series and labels that the service exposes', async (t) => {
  const text = await readFile(packagePath('docker', 'grafana', 'irevnet.json'), 'utf8');
  const { panels, templating, schemaVersion } = JSON.parse(text) as {
    panels: Panel[];
    templating: { list: { name: string; type: string; definition?: string }[] };
    schemaVersion: number;
  };
  t.ok(schemaVersion >= 38, 'Grafana 10');
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const variables = new Set(templating.list.map(({ name }) => name));
  const used = [...text.matchAll(/\$\{?([a-z]\w*)\}?/g)].map(([, name]) => name!);
  t.same([...new Set(used)].sort(), [...variables].sort());
  for (const { title, type, gridPos, targets = [] } of panels) {
    t.ok(gridPos.x + gridPos.w <= 24, `${title} fits`);
    t.equal(targets.length > 0, type !== 'row', title);
    for (const { expr, legendFormat } of targets) {
      t.same(mistakes(expr, families), [], expr);
      const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!);
      const grouped = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(/,\s*/);
      const known = grouped ?? [...SCRAPED, ...seriesOf(expr).flatMap(({ metric }) => labelsOf(families, metric))];
      t.same(
        shown.filter((label) => !known.includes(label)),
        [],
        `legend of ${title}`,
      );
    }
  }
  for (const { type, definition = '' } of templating.list) {
    if (type !== 'query') continue;
    const [, series, label] = /^label_values\((.*), (\w+)\)$/.exec(definition) ?? [];
    t.same(mistakes(`sum by (${label}) (${series})`, families), [], definition);
  }
});

const labelsOf = (families: ReadonlyMap<string, Family>, metric: string): string[] =>
  (families.get(metric)?.samples ?? []).flatMap(({ labels }) => Object.keys(labels));

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const prometheusFile = (name: string): string => packagePath('docker', 'prometheus', name);
const { groups } = parse(await readFile(prometheusFile('alerts.yaml'), 'utf8')) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);

t.test('alerts use series and labels that the service exposes, and say what to do', async (t) => {
  t.ok(rules.length >= 8);
  for (const { alert, expr, annotations } of rules) {
    t.same(mistakes(expr, families), [], alert);
    t.match(annotations, { summary: /\S/, description: /\S.{80}/ }, alert);
  }
});

t.test('the alert of a service that is down names the exit codes with which it ends', async (t) => {
  const { description } = rules.find(({ alert }) => alert === 'IrevnetDown')!.annotations;
  const named = [...description!.matchAll(/\b(\d+) ([a-z]+(?:-[a-z]+)*)/g)].map(([, code, reason]) => [
    reason,
    Number(code),
  ]);
  const ofService = Object.entries(exitCodes).filter(([reason]) => !['done', 'images-skipped'].includes(reason));
  t.same(Object.fromEntries(named), Object.fromEntries(ofService));
});

interface UnitTest {
  readonly input_series: readonly { readonly series: string }[];
  readonly promql_expr_test: readonly { readonly exp_samples: readonly { readonly labels: string }[] }[];
}

t.test('every alert has a unit test in which it fires, on series that the service exposes', async (t) => {
  const { tests } = parse(await readFile(prometheusFile('alerts.test.yaml'), 'utf8')) as { tests: UnitTest[] };
  const expected = tests.flatMap(({ promql_expr_test }) => promql_expr_test.flatMap(({ exp_samples }) => exp_samples));
  const fired = expected.map(({ labels }) => /alertname="(\w+)"/.exec(labels)?.[1]);
  t.same([...new Set(fired)].sort(), rules.map(({ alert }) => alert).sort());
  for (const { series } of tests.flatMap(({ input_series }) => input_series)) {
    // Routes and statuses that a few requests do not produce.
    t.same(mistakes(series.replace(/, (route|le)="[^"]*"/g, ''), families), [], series);
  }
});

const skip = spawnSync('promtool', ['--version']).error && "promtool is missing; CI has it, from Debian's prometheus";

t.test('promtool runs the unit tests of the alerts, where it is installed', { skip }, async (t) => {
  const run = spawnSync('promtool', ['test', 'rules', prometheusFile('alerts.test.yaml')], { encoding: 'utf8' });
  t.equal(run.status, 0, run.stdout + run.stderr);
});

t.test('Prometheus scrapes the service', async (t) => {
  const text = await readFile(packagePath('docker', 'prometheus', 'prometheus.yaml'), 'utf8');
  t.match(parse(text), {
    rule_files: ['alerts.yaml'],
    scrape_configs: [
      { job_name: 'irevnet', metrics_path: '/metrics', static_configs: [{ targets: ['irevnet:8080'] }] },
    ],
  });
});

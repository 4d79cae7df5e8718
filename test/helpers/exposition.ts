export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Series of one name, as Prometheus gets them. */
export interface Family {
  readonly help: string;
  readonly type: string;
  readonly samples: readonly Sample[];
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;

/**
 * Reads the text format of Prometheus by the letter.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 * @throws Error with the line that breaks it
 */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, { help: string; type: string; samples: Sample[] }>();
  let open = '';
  for (const line of text.split('\n').filter((l) => l !== '')) {
    const [, kind, about = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      if (families.has(about)) throw new Error(`comes twice: ${line}`);
      families.set(about, { help: rest, type: '', samples: [] });
      open = about;
    } else if (kind === 'TYPE') {
      if (about !== open || !/^(counter|gauge|histogram|summary)$/.test(rest)) throw new Error(`is no type: ${line}`);
      families.get(about)!.type = rest;
    } else {
      const family = families.get(open);
      const sample = sampleOf(line);
      const suffix = family?.type === 'histogram' ? /^_(bucket|sum|count)$/ : /^$/;
      if (!sample.name.startsWith(open) || !suffix.test(sample.name.slice(open.length)))
        throw new Error(`strays: ${line}`);
      if (family!.samples.some((other) => keyOf(other) === keyOf(sample))) throw new Error(`comes twice: ${line}`);
      family!.samples.push(sample);
    }
  }
  return families;
}

const keyOf = ({ name, labels }: Sample): string => name + JSON.stringify(Object.entries(labels).sort());

function sampleOf(line: string): Sample {
  const [, name, inside = '', number] = LINE.exec(line) ?? [];
  const value = number === '+Inf' ? Infinity : number === '-Inf' ? -Infinity : Number(number);
  if (name === undefined || (Number.isNaN(value) && !/^nan$/i.test(number!))) throw new Error(`is no sample: ${line}`);
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  let end = 0;
  for (let found = LABEL.exec(inside); found; found = LABEL.exec(inside)) {
    labels[found[1]!] = found[2]!;
    end = LABEL.lastIndex;
  }
  if (end !== inside.length) throw new Error(`has no such labels: ${line}`);
  return { name, labels, value };
}

/** The value of a series with at least these labels; undefined when there is none, the sum when there are several. */
export function seriesValue(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
  const found = family?.samples.filter(
    (s) => s.name === name && Object.entries(labels).every(([label, value]) => s.labels[label] === value),
  );
  return found?.length ? found.reduce((sum, { value }) => sum + value, 0) : undefined;
}

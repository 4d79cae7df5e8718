/** Values of a result, as a spreadsheet has them. */
export interface Values {
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
}

export type Value = string | number | boolean | null;

type Entry = readonly [name: string, value: Value];

/**
 * The numbers and words of a result as tables: one of its single values, and one of each of its lists. Pictures are left
 * out.
 */
export function valuesOf(result: unknown): Values[] {
  const tables: Values[] = [];
  const single: Entry[] = [];
  collect(result, '', single, tables);
  return [
    ...(single.length > 0 ? [{ name: 'single values', columns: ['name', 'value'], rows: single }] : []),
    ...tables,
  ];
}

function collect(value: unknown, name: string, single: Entry[], tables: Values[]): void {
  if (Array.isArray(value) && !isInterval(value)) {
    if (value.length > 0) tables.push(tableOf(name, value));
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of entries(value)) collect(inner, joined(name, key), single, tables);
  } else if (!isPicture(value)) single.push([name, value as Value]);
}

/** A list as a table: a row an element, a column for each value in it. */
function tableOf(name: string, list: readonly unknown[]): Values {
  const rows = list.map((element, i) => new Map<string, Value>([['', i + 1], ...flat(element, '')]));
  const columns = [...new Set(rows.flatMap((row) => [...row.keys()]))];
  return {
    name,
    columns: columns.map((column) => column || '#'),
    rows: rows.map((row) => columns.map((column) => row.get(column) ?? null)),
  };
}

function flat(value: unknown, name: string): Entry[] {
  if (isPicture(value)) return [];
  if (typeof value !== 'object' || value === null) return [[name || 'value', value as Value]];
  return entries(value).flatMap(([key, inner]) => flat(inner, joined(name, key)));
}

/** Two numbers are an interval. */
const isInterval = (value: object): boolean =>
  Array.isArray(value) && value.length === 2 && value.every((end) => typeof end === 'number');

const entries = (value: object): [string, unknown][] =>
  Object.entries(isInterval(value) ? { from: (value as number[])[0], to: (value as number[])[1] } : value);

const joined = (name: string, key: string): string => (name === '' ? key : `${name}.${key}`);
const isPicture = (value: unknown): boolean => typeof value === 'string' && value.startsWith('data:');

/** Tables as CSV (RFC 4180), an empty line and a table's name between them. */
export const csvOf = (tables: readonly Values[]): string =>
  tables.map(({ name, columns, rows }) => [[name], columns, ...rows].map(lineOf).join('')).join('\r\n');

const lineOf = (cells: readonly Value[]): string => `${cells.map(cellOf).join(',')}\r\n`;

function cellOf(value: Value): string {
  const text = `${value ?? ''}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

import { colours } from './figure.js';

/** A point of a series, and the ends of its interval. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly interval?: readonly [number, number];
}

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
  /** Its place among the colours. */
  readonly colour: number;
  /** Not what is measured, but what it is compared with: a broken line. */
  readonly control?: boolean;
  /** Without a mark at each point: a curve, or a level. */
  readonly plain?: boolean;
}

export interface Axis {
  /** With the unit. */
  readonly title: string;
  readonly format?: string;
  readonly domain?: readonly [number, number];
  readonly scale?: 'linear' | 'log';
  /** Numbers that have a tick; default: as the library chooses. */
  readonly values?: readonly number[];
}

export interface Panel {
  readonly title: string;
  readonly subtitle?: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

export const PANEL = { width: 340, height: 260 } as const;
/** The share of the height that a label takes. */
const LABEL = 0.055;

/** Lines with their intervals, each named at its last point: a part of a figure. */
export function linePanel({ title, subtitle, x, y, series }: Panel): object {
  const rows = series.flatMap(({ name, points, control, plain, colour }) =>
    points.map((p) => ({
      name,
      colour: colours[colour],
      control: control === true,
      plain: plain === true,
      ...p,
      low: p.interval?.[0],
      high: p.interval?.[1],
    })),
  );
  const across = scaled('x', x, [Math.min(...rows.map((r) => r.x)), Math.max(...rows.map((r) => r.x))]);
  const [low, high] =
    y.domain ??
    padded(
      rows.flatMap((r) => [r.y, r.low ?? r.y, r.high ?? r.y]),
      y.scale,
    );
  const color = { field: 'colour', type: 'nominal', scale: null };
  const detail = { field: 'name', type: 'nominal' };
  const up = scaled('y', y, [low, high]);
  const dash = {
    field: 'control',
    type: 'nominal',
    legend: null,
    scale: {
      domain: [false, true],
      range: [
        [1, 0],
        [5, 3],
      ],
    },
  };
  const ends = spread(
    series.map(({ name, points, colour }) => ({
      name,
      colour: colours[colour],
      ...points.reduce((a, b) => (b.x >= a.x ? b : a)),
    })),
    [low, high],
    y.scale,
  );
  return {
    title: subtitle === undefined ? title : { text: title, subtitle },
    ...PANEL,
    layer: [
      {
        data: { values: rows },
        layer: [
          { mark: 'rule', encoding: { x: across, y: { ...up, field: 'low' }, y2: { field: 'high' }, color } },
          { mark: 'line', encoding: { x: across, y: up, color, detail, strokeDash: dash } },
          {
            transform: [{ filter: '!datum.plain' }],
            mark: { type: 'point', opacity: 1 },
            encoding: { x: across, y: up, color, tooltip: tooltip(x, y, rows) },
          },
        ],
      },
      {
        data: { values: ends },
        mark: { type: 'text', align: 'left', dx: 8, baseline: 'middle' },
        encoding: { x: across, y: { ...up, field: 'label' }, text: { field: 'name' }, color },
      },
    ],
  };
}

/** What a point says of itself where a figure is shown on a screen. */
const tooltip = (x: Axis, y: Axis, rows: readonly { readonly low: number | undefined }[]): object[] => {
  const number = ({ title, format = '.5~g' }: Axis, field: string, name = title) => ({
    field,
    type: 'quantitative',
    title: name,
    format,
  });
  const interval = rows.some(({ low }) => low !== undefined)
    ? [number(y, 'low', '95% interval from'), number(y, 'high', 'to')]
    : [];
  return [{ field: 'name', type: 'nominal', title: 'series' }, number(x, 'x'), number(y, 'y'), ...interval];
};

const scaled = (
  field: string,
  { title, format, values, scale = 'linear' }: Axis,
  domain: readonly [number, number],
) => ({
  field,
  type: 'quantitative',
  title,
  scale: { type: scale, domain, nice: false, ...(scale === 'linear' && { zero: false }) },
  axis: { ...(format !== undefined && { format }), ...(values && { values }) },
});

/** The range of some numbers, a little wider. */
function padded(values: readonly number[], scale: Axis['scale']): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (scale === 'log') return [low / 1.2, high * 1.2];
  const more = 0.05 * (high - low || Math.abs(high) || 1);
  return [low - more, high + more];
}

/** Labels at the ends of lines, moved apart so that none covers another; the order stays. */
function spread<T extends { readonly y: number }>(
  ends: readonly T[],
  [low, high]: readonly [number, number],
  scale: Axis['scale'],
): (T & { label: number })[] {
  const log = scale === 'log';
  const [place, value] = log ? [Math.log, Math.exp] : [(v: number) => v, (v: number) => v];
  const gap = LABEL * (place(high) - place(low));
  const sorted = [...ends].sort((a, b) => a.y - b.y);
  const places = sorted.map(({ y }) => place(y));
  for (let i = 1; i < places.length; i++) places[i] = Math.max(places[i]!, places[i - 1]! + gap);
  const over = Math.max(0, (places.at(-1) ?? 0) - place(high));
  for (let i = places.length - 1, limit = Number.POSITIVE_INFINITY; over > 0 && i >= 0; i--) {
    places[i] = Math.min(places[i]!, i === places.length - 1 ? place(high) : limit);
    limit = places[i]! - gap;
  }
  return sorted.map((end, i) => ({ ...end, label: value(places[i]!) }));
}

import type { FloatArray } from '../client/index.js';

/** What a visitor changed in features [1, C, H, W]. */
export interface Edit {
  readonly scale: number;
  /** Standard deviation of the noise that is added, over that of the features. */
  readonly noise: number;
  /** Share of the channels, the first ones, that are taken from the other picture. */
  readonly taken: number;
  /** Share of the channels, the last ones, that are silenced. */
  readonly cut: number;
  readonly silent: readonly number[];
  /** Whether the places are in another order, the same in every channel. */
  readonly permuted: boolean;
}

export const unchanged: Edit = { scale: 1, noise: 0, taken: 0, cut: 0, silent: [], permuted: false };

/** A change as the address has it: `scale=1.5&silent=3.17`. What is as it was is not named. */
export function editSettings(edit: Edit): Readonly<Record<string, string>> {
  const number = (name: 'scale' | 'noise' | 'taken' | 'cut') => (edit[name] === unchanged[name] ? '' : `${edit[name]}`);
  return {
    scale: number('scale'),
    noise: number('noise'),
    taken: number('taken'),
    cut: number('cut'),
    silent: edit.silent.join('.'),
    permuted: edit.permuted ? 'yes' : '',
  };
}

/** The change that an address names; what it does not name, or names wrongly, is as it was. */
export function editOf(settings: Readonly<Record<string, string>>): Edit {
  const number = (name: 'scale' | 'noise' | 'taken' | 'cut', most: number) => {
    const value = Number(settings[name] || Number.NaN);
    return value >= 0 && value <= most ? value : unchanged[name];
  };
  return {
    scale: number('scale', 2),
    noise: number('noise', 2),
    taken: number('taken', 1),
    cut: number('cut', 1),
    silent: (settings.silent ?? '').split('.').filter(Boolean).map(Number).filter(Number.isInteger),
    permuted: settings.permuted === 'yes',
  };
}

/** The features after a change. The noise is the same each time, so that a slider changes nothing but its strength. */
export function edited({ shape, data }: FloatArray, edit: Edit, other?: FloatArray): FloatArray {
  const [, channels = 1, height = 1, width = 1] = shape;
  const places = height * width;
  const random = gaussian(1);
  const deviation = Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
  const silent = new Set(edit.silent);
  const result = new Float32Array(data.length);
  for (let c = 0; c < channels; c++) {
    const off = silent.has(c) || c >= Math.round(channels * (1 - edit.cut));
    const source = other && c < Math.round(channels * edit.taken) ? other.data : data;
    for (let i = 0; i < places; i++) {
      // A turn by half a circle: every place trades with the one opposite.
      const from = edit.permuted ? places - 1 - i : i;
      const noise = edit.noise * deviation * random();
      result[c * places + i] = off ? 0 : source[c * places + from]! * edit.scale + noise;
    }
  }
  return { shape, data: result };
}

/** The channel at a point of the sheet, both from 0 to 1; undefined where the sheet has none. */
export function channelAt(x: number, y: number, channels: number, columns: number): number | undefined {
  const rows = Math.ceil(channels / columns);
  const channel = Math.floor(y * rows) * columns + Math.floor(x * columns);
  return channel < channels ? channel : undefined;
}

/** Normally distributed numbers from a seed. (mulberry32 and the method of Box and Muller) */
function gaussian(seed: number): () => number {
  let state = seed;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let n = Math.imul(state ^ (state >>> 15), state | 1);
    n ^= n + Math.imul(n ^ (n >>> 7), n | 61);
    return ((n ^ (n >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

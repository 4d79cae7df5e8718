import { Problem } from '../../common/problems.js';

/** Types that a member of a JSON object may have to be. */
interface Kinds {
  readonly string: string;
  readonly boolean: boolean;
  readonly size: number;
  readonly array: readonly unknown[];
  readonly object: Readonly<Record<string, unknown>>;
}

const kinds: { readonly [K in keyof Kinds]: { readonly words: string; is(value: unknown): boolean } } = {
  string: { words: 'a string', is: (v) => typeof v === 'string' },
  boolean: { words: 'true or false', is: (v) => typeof v === 'boolean' },
  size: { words: 'a whole number from 0', is: (v) => Number.isSafeInteger(v) && Number(v) >= 0 },
  array: { words: 'an array', is: Array.isArray },
  object: { words: 'an object', is: (v) => typeof v === 'object' && v !== null && !Array.isArray(v) },
};

/** Checks the type of a value that a client sent. @throws Problem inference-malformed */
export function expect<K extends keyof Kinds>(value: unknown, kind: K, where: string): Kinds[K] {
  if (kinds[kind].is(value)) return value as Kinds[K];
  throw malformed(`${where} is ${described(value)}; expected ${kinds[kind].words}`);
}

/** As `expect`, but the value may be absent, or null as many clients write it. @throws Problem inference-malformed */
export const expectOptional = <K extends keyof Kinds>(value: unknown, kind: K, where: string): Kinds[K] | undefined =>
  value === undefined || value === null ? undefined : expect(value, kind, where);

export const malformed = (message: string, options?: ErrorOptions): Problem =>
  new Problem('inference-malformed', message, options);

const LONGEST = 60;

/** A string that a client sent, in quotes, shortened to 60 characters. */
export const quoted = (text: string): string => JSON.stringify(text.slice(0, LONGEST));

/** A value that a client sent, in a few words. */
export function described(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

import { InvalidArgumentError, Option } from 'commander';
import type { TObject } from 'typebox';

interface Described {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly items?: { readonly type?: string };
  readonly description?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
}

const dashed = (key: string): string => key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);

/** Flags for the members of a schema. They turn text into numbers and lists; ranges are left to the schema. */
export function schemaOptions({ properties }: TObject): Option[] {
  return Object.entries(properties).map(([key, schema]) => flagOf(key, schema as Described));
}

/**
 * Arguments that give these options to a command with flags of the schema, as `schemaOptions` makes them. Values of the
 * schema's own defaults are left out.
 */
export function argumentsOf({ properties }: TObject, options: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(options).flatMap(([key, value]) => {
    const usual = (properties[key] as Described).default;
    if (typeof value !== 'boolean') return [`--${dashed(key)}=${[value].flat().join(',')}`];
    if (value === (usual ?? false)) return [];
    return [value ? `--${dashed(key)}` : `--no-${dashed(key)}`];
  });
}

function flagOf(key: string, schema: Described): Option {
  const { type, enum: choices, description, default: value, minimum, maximum } = schema;
  const range = minimum === undefined ? '' : maximum === undefined ? `from ${minimum}` : `${minimum} to ${maximum}`;
  const shown = Array.isArray(value) ? value.join(',') : value;
  const notes = [range, shown === undefined || shown === '' ? '' : `default ${shown}`].filter(Boolean).join('; ');
  const text = `${description ?? ''}${notes && ` (${notes})`}`;
  if (type === 'boolean') return new Option(value === true ? `--no-${dashed(key)}` : `--${dashed(key)}`, text);
  if (choices) return new Option(`--${dashed(key)} <value>`, text).choices(choices);
  const list = type === 'array';
  const numeric = ['integer', 'number'].includes((list ? schema.items?.type : type) ?? '');
  const option = new Option(`--${dashed(key)} <${list ? 'list' : numeric ? 'n' : 'value'}>`, text);
  const one = (part: string) => (numeric ? number(part) : part);
  return option.argParser((given) =>
    list ? (given === '' ? [] : given.split(',').map((part) => one(part))) : one(given),
  );
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('expected a number.');
  return value;
}

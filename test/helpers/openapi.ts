import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { packagePath } from '../../export/files/package.js';

/** A JSON schema, as far as openapi.yaml uses the language. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

type Content = Readonly<Record<string, { readonly schema: Schema }>>;

export interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: {
    readonly 200: { readonly content: Content; readonly headers?: Readonly<Record<string, unknown>> };
  };
}

export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

export const readOpenApi = async (): Promise<OpenApi> =>
  parse(await readFile(packagePath('openapi.yaml'), 'utf8')) as OpenApi;

/** A schema as a TypeScript type; `#/components/schemas/X` becomes X. */
export function typeOf({ $ref, enum: values, anyOf, type, items, properties, required = [] }: Schema): string {
  if ($ref) return $ref.split('/').at(-1)!;
  if (values) return values.map((value) => JSON.stringify(value)).join(' | ');
  if (anyOf) return anyOf.map(typeOf).join(' | ');
  if (type === 'array') return `readonly (${typeOf(items!)})[]`;
  if (type === 'object' && properties) return objectOf(properties, required);
  if (type === 'object') return 'Record<string, unknown>';
  return type === 'integer' ? 'number' : (type ?? 'unknown');
}

/** An object type with these properties, of which the required ones are always there. */
export function objectOf(properties: Readonly<Record<string, Schema>>, required: readonly string[]): string {
  const fields = Object.entries(properties).map(
    ([name, schema]) => `${JSON.stringify(name)}${required.includes(name) ? '' : '?'}: ${typeOf(schema)}`,
  );
  return `{ ${fields.join('; ')} }`;
}

import type { TSchema } from 'typebox';
import type { Validator } from 'typebox/compile';

/**
 * Says what is wrong with a value that does not fit its schema: every field that is missing, wrong or unknown.
 * @param what the whole value is called
 */
export function problemsOf(validator: Pick<Validator, 'Errors' | 'Type'>, value: unknown, what: string): string {
  // An unknown field is told twice: by its object, and as a value that fits no schema.
  const told = validator.Errors(value).filter(({ keyword }) => keyword !== 'boolean');
  const problems = told.map(({ keyword, instancePath, params, message }) => {
    const path = instancePath.slice(1).replaceAll('/', '.') || what;
    if (keyword !== 'additionalProperties') return `${path} ${message}`;
    const { additionalProperties: unknown } = params as { additionalProperties: readonly string[] };
    return `${path} has no field ${unknown.join(', ')}; its fields are ${fieldsAt(validator.Type(), instancePath).join(', ')}`;
  });
  return problems.join('; ');
}

/** Names of the fields of the object that a JSON pointer leads to. */
function fieldsAt(schema: TSchema, pointer: string): string[] {
  const at = pointer
    .split('/')
    .slice(1)
    .reduce((s, key) => (s as Fields).properties?.[key] ?? {}, schema);
  return Object.keys((at as Fields).properties ?? {});
}
type Fields = { readonly properties?: Readonly<Record<string, TSchema>> };

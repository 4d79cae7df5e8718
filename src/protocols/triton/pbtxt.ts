/** The value of a field: a scalar, an enumerator (a symbol: written without quotes), a message, or a list of one kind. */
export type Value = string | number | boolean | symbol | Message | readonly Value[];

/** A message by the names of its fields. Fields that are undefined or an empty list are left out. */
export interface Message {
  readonly [field: string]: Value | undefined;
}

/** A `map<string, …>` field: in the text format an entry is a message of key and value. */
export const mapOf = (entries: Readonly<Record<string, Value | undefined>>): readonly Message[] =>
  Object.entries(entries).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value }]));

/** A message in protobuf's text format, which a `config.pbtxt` is (https://protobuf.dev/reference/protobuf/textformat-spec/). */
export const toPbtxt = (message: Message, indent = ''): string =>
  Object.entries(message)
    .map(([name, value]) => (value === undefined ? '' : field(name, value, indent)))
    .join('');

function field(name: string, value: Value, indent: string): string {
  if (isList(value)) {
    if (value.every(isMessage)) return value.map((element) => field(name, element, indent)).join('');
    return `${indent}${name}: [${value.map(scalar).join(', ')}]\n`;
  }
  if (isMessage(value)) return `${indent}${name} {\n${toPbtxt(value, `${indent}  `)}${indent}}\n`;
  return `${indent}${name}: ${scalar(value)}\n`;
}

const isList = (value: Value): value is readonly Value[] => Array.isArray(value);
const isMessage = (value: Value): value is Message => typeof value === 'object' && !isList(value);

/** The text format escapes strings as JSON does. */
const scalar = (value: Value): string => (typeof value === 'symbol' ? value.description! : JSON.stringify(value));

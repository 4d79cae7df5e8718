import { type Machine, malformed } from './machine.js';

/** Longest integer that is read, in bytes or in digits. */
const LONGEST_INTEGER = 1024;

/** A number if it represents the value exactly, otherwise a bigint. */
const asInteger = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

/** LONG1, LONG4: two's complement, little-endian. */
export function signedLittleEndian(m: Machine, length: number): number | bigint {
  if (length < 0 || length > LONGEST_INTEGER) throw malformed(m, `has an integer of ${length} bytes`);
  const hex = Buffer.from(m.input.bytes(length).reverse()).toString('hex');
  return asInteger(BigInt.asIntN(8 * length, BigInt(`0x0${hex}`)));
}

/** INT, LONG, GET, PUT: a decimal integer in a line of protocol 0, where "00" and "01" are booleans. */
export function decimal(m: Machine, text: string): number | bigint | boolean {
  if (text === '00' || text === '01') return text === '01';
  if (!/^[+-]?\d+$/.test(text) || text.length > LONGEST_INTEGER) throw malformed(m, 'has an integer that is none');
  return asInteger(BigInt(text));
}

/** STRING: a Python string literal; its bytes are read as Latin-1. */
export function quoted(m: Machine, text: string): string {
  const [, , body] = /^(['"])(.*)\1$/s.exec(text) ?? [];
  if (body === undefined) throw malformed(m, 'has a string without quotes');
  const named: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b', f: '\f', v: '\v' };
  return body.replace(/\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)/gs, (_, what: string) => {
    if (/^x./.test(what)) return String.fromCharCode(Number.parseInt(what.slice(1), 16));
    if (/^[0-7]/.test(what)) return String.fromCharCode(Number.parseInt(what, 8) & 255);
    return named[what] ?? what;
  });
}

/** UNICODE: Latin-1 with \u and \U escapes. */
export const escaped = (m: Machine, text: string): string =>
  text.replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (_, short?: string, long?: string) => {
    const code = Number.parseInt((short ?? long)!, 16);
    if (code > 0x10ffff) throw malformed(m, 'has a character that is none');
    return String.fromCodePoint(code);
  });

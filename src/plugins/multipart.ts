import { Problem } from '../errors.js';

export interface Part {
  /** Empty when the part has no name. */
  readonly field: string;
  /** False for a form's text value. */
  readonly isFile: boolean;
  /** Lies in the memory of the whole body. */
  readonly data: Buffer;
}

/** Bytes of a boundary, and of the headers of a part. RFC 2046, section 5.1.1, has the first. */
const BOUNDARY_LIMIT = 70;
const HEADERS_LIMIT = 8192;

/** Sticky: what is not read is not searched again and again. */
const PARAMETER = /\s*;\s*([^\s=;"]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/gy;

const malformed = (what: string): Problem => new Problem('multipart-malformed', `the form cannot be read: ${what}`);

/**
 * The parts of a form, one after the other, without a copy. RFC 7578, RFC 2046
 * @throws Problem multipart-malformed
 */
export function* readParts(body: Buffer, contentType: string): Generator<Part> {
  const delimiter = Buffer.from(`\r\n--${boundaryOf(contentType)}`, 'latin1');
  let at = firstPart(body, delimiter);
  while (!isLast(body, at)) {
    const from = afterLine(body, at);
    const [headers, start] = headersOf(body, from);
    // The line break before a delimiter belongs to it, also when the part is empty.
    const end = body.indexOf(delimiter, start - 2);
    if (end < 0) throw malformed('a part does not end');
    yield { ...dispositionOf(headers), data: body.subarray(start, Math.max(start, end)) };
    at = end + delimiter.length;
  }
}

function boundaryOf(contentType: string): string {
  const { boundary = '' } = parametersOf(/;.*/.exec(contentType)?.[0] ?? '');
  if (boundary.length > 0 && boundary.length <= BOUNDARY_LIMIT) return boundary;
  throw malformed(`its boundary has ${boundary.length} characters; expected 1 to ${BOUNDARY_LIMIT} in Content-Type`);
}

/** The place behind the first delimiter, which needs no line before it. */
function firstPart(body: Buffer, delimiter: Buffer): number {
  const first = delimiter.subarray(2);
  if (body.subarray(0, first.length).equals(first)) return first.length;
  const at = body.indexOf(delimiter);
  if (at < 0) throw malformed('its boundary is not in the body');
  return at + delimiter.length;
}

const isLast = (body: Buffer, at: number): boolean => body.toString('latin1', at, at + 2) === '--';

/** The place behind the line break that ends a delimiter; there may be blanks before. */
function afterLine(body: Buffer, at: number): number {
  let end = at;
  while (body[end] === 0x20 || body[end] === 0x09) end++;
  if (body.toString('latin1', end, end + 2) !== '\r\n') throw malformed('a boundary is followed by something else');
  return end + 2;
}

/** The headers of a part, and where its content begins. */
function headersOf(body: Buffer, from: number): [headers: string, start: number] {
  const head = body.subarray(from - 2, from + HEADERS_LIMIT);
  const end = head.indexOf('\r\n\r\n');
  if (end < 0) throw malformed(`a part has no end of its headers within ${HEADERS_LIMIT} bytes`);
  return [head.toString('utf8', 2, end), from - 2 + end + 4];
}

function dispositionOf(headers: string): Pick<Part, 'field' | 'isFile'> {
  const line = /^content-disposition:[ \t]*form-data[ \t]*(;.*)?$/im.exec(headers);
  if (!line) throw malformed('a part has no Content-Disposition: form-data');
  const parameters = parametersOf(line[1] ?? '');
  return { field: parameters.name ?? '', isFile: 'filename' in parameters || 'filename*' in parameters };
}

/** Parameters such as `; name="a"; filename=b`, by their names in small letters; of equal ones the first. */
function parametersOf(header: string): Readonly<Record<string, string>> {
  const parameters: Record<string, string> = Object.create(null);
  for (const [, name, quoted, plain] of header.matchAll(PARAMETER)) {
    parameters[name!.toLowerCase()] ??= quoted?.replace(/\\(.)/g, '$1') ?? plain!;
  }
  return parameters;
}

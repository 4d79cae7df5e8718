import { setTimeout as sleep } from 'node:timers/promises';
import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { Problem, type ProblemCode } from '../errors.js';
import { arrival, growing } from './bodies.js';

export interface Part {
  /** Empty when the part has no name. */
  readonly field: string;
  /** False for a form's text value. */
  readonly isFile: boolean;
  readonly data: Buffer;
}

/** Bytes, and number, of the headers of a part. */
const HEADERS = { headerSize: 8192, headerPairs: 16, fieldNameSize: 200 };

/** The parser's own errors that say more than that the form is malformed. */
const parserCodes: Readonly<Record<string, ProblemCode>> = {
  FST_PARTS_LIMIT: 'too-many-parts',
  FST_PROTO_VIOLATION: 'wrong-field',
};

/** A boundary as it may be. RFC 2046, section 5.1.1 */
const BOUNDARY = /boundary=(?:"[^"]{1,70}"|[^\s";]{1,70})\s*(?:;|$)/i;

/** Milliseconds after which a form that has come, and that the parser still waits to go on, does not come to an end. */
const PATIENCE = 5000;

/**
 * Reads a form's parts into memory, one after the other. It is judged once all of it has come: an answer in the middle
 * would break the connection that it is to go through.
 * @throws Problem multipart-malformed, too-many-parts, wrong-field, and as `arrival`
 */
export async function readParts(request: FastifyRequest, maxParts: number): Promise<Part[]> {
  if (!BOUNDARY.test(request.headers['content-type'] ?? '')) {
    throw malformed('its Content-Type has no boundary of 1 to 70 characters');
  }
  const over = new AbortController();
  const arrived = arrival(request, request.raw, () => undefined);
  const late = arrived
    .then(() => sleep(PATIENCE, undefined, { signal: over.signal }))
    .then(() => Promise.reject(malformed('it does not come to its end')));
  try {
    const [form] = await Promise.all([Promise.race([judged(collect(request, maxParts)), late]), arrived]);
    if (form instanceof Problem) throw form;
    if (form.length > maxParts) throw new Problem('too-many-parts', `a form has at most ${maxParts} parts here`);
    return form;
  } finally {
    over.abort();
    late.catch(() => undefined);
  }
}

/** The parts, or what is wrong with them; that there is no memory for them is thrown at once. */
const judged = (form: Promise<Part[]>): Promise<Part[] | Problem> =>
  form.catch((error: Problem) => (error.code === 'overloaded' ? Promise.reject(error) : error));

const malformed = (what: string): Problem => new Problem('multipart-malformed', `the form cannot be read: ${what}`);

async function collect(request: FastifyRequest, maxParts: number): Promise<Part[]> {
  const parts: Part[] = [];
  // One part more than allowed, so that its field can be named; every part as a file, so that none is decoded as text.
  const limits = { ...HEADERS, parts: maxParts + 1, fileSize: request.routeOptions.bodyLimit };
  try {
    for await (const part of request.parts({ limits, isPartAFile: () => true })) {
      if (part.type !== 'file') throw new Problem('multipart-malformed', 'the form holds a part without data');
      parts.push({
        field: part.fieldname ?? '',
        isFile: part.filename !== undefined,
        data: await bytesOf(request, part),
      });
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    const { code, message } = error as Error & { code?: string };
    const kind = parserCodes[code ?? ''] ?? 'multipart-malformed';
    throw new Problem(kind, `the form cannot be read: ${message}`, { cause: error });
  }
  return parts;
}

async function bytesOf(request: FastifyRequest, { file }: MultipartFile): Promise<Buffer> {
  const memory = growing(request, request.routeOptions.bodyLimit);
  for await (const chunk of file) memory.add(chunk);
  return memory.bytes();
}

import { Readable } from 'node:stream';
import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { deferred } from '../common/deferred.js';
import { Problem, type ProblemCode } from '../common/problems.js';
import { readBody } from './bodies.js';

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

/** Milliseconds after which a form that lies in memory, and that the parser still waits to go on, does not end. */
const PATIENCE = 2000;

/**
 * Reads a form's parts, in their order. The whole form is read first: of one that is answered before it has come, the
 * answer may be lost with the connection, and the parser comes to a halt at parts that it passes over.
 * @throws Problem multipart-malformed, too-many-parts, wrong-field, and as `readBody`
 */
export async function readParts(request: FastifyRequest, maxParts: number): Promise<Part[]> {
  const body = await readBody(request, request.raw);
  if (!BOUNDARY.test(request.headers['content-type'] ?? '')) {
    throw malformed('its Content-Type has no boundary of 1 to 70 characters');
  }
  const { promise: late, reject } = deferred<never>();
  const timer = setTimeout(() => reject(malformed('it does not come to its end')), PATIENCE);
  try {
    const parts = await Promise.race([collect(overMemory(request, body), maxParts), late]);
    if (parts.length > maxParts) throw new Problem('too-many-parts', `a form has at most ${maxParts} parts here`);
    return parts;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The request as the parser sees it, with a body that has come already. (It is a copy: an object that inherits from the
 * request would make it a prototype, which V8 keeps, with its body, until the next full collection of garbage.)
 */
function overMemory(request: FastifyRequest, body: Buffer): FastifyRequest {
  const raw = Object.assign(new Readable({ read: () => undefined }), { headers: request.raw.headers });
  raw.push(body);
  raw.push(null);
  return Object.assign(Object.create(Object.getPrototypeOf(request)), request, { raw });
}

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
        data: await bytesOf(part),
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

/** Its bytes, which mostly lie in one piece in the memory of the body. */
async function bytesOf({ file }: MultipartFile): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of file) pieces.push(piece);
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
}

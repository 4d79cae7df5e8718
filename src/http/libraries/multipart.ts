import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem, type ProblemCode } from '../../common/problems.js';

/** A part of a form. */
export interface Part {
  /** Empty when the part has no name. */
  readonly field: string;
  /** False for a text value: a part without a file name and without a media type of its own. RFC 7578, section 4.4 */
  readonly isFile: boolean;
  readonly data: Buffer;
}

/** Most bytes, and most headers, of the header of a part. */
const HEADERS = { headerSize: 8192, headerPairs: 16, fieldNameSize: 200 };

/** Errors of the parser that say more than that the form is malformed. */
const parserCodes: Readonly<Record<string, ProblemCode>> = {
  FST_PARTS_LIMIT: 'too-many-parts',
  FST_PROTO_VIOLATION: 'wrong-field',
};

/** The boundary in a Content-Type. RFC 2046, section 5.1.1 */
const BOUNDARY = /boundary=(?:"[^"]{1,70}"|[^\s";]{1,70})\s*(?:;|$)/i;

/** The media type of a part that declares none. */
const TEXT = 'text/plain';

/** Values of Content-Transfer-Encoding that change the bytes. RFC 7578, section 4.7, has clients not send them. */
const ENCODED = ['base64', 'quoted-printable'];

/** Has forms parsed by @fastify/multipart, as `parseForm` asks for it. */
export async function installMultipart(app: FastifyInstance): Promise<void> {
  await app.register(multipart);
}

/**
 * Parses a form while it arrives. The caller limits the bytes of the whole form.
 * @param most bytes of the largest form that the caller lets pass
 * @returns its parts in their order
 * @throws Problem multipart-malformed, too-many-parts, wrong-field
 */
export async function parseForm(request: FastifyRequest, maxParts: number, most: number): Promise<Part[]> {
  if (!BOUNDARY.test(request.headers['content-type'] ?? '')) {
    throw malformed('its Content-Type has no boundary of 1 to 70 characters');
  }
  const options = {
    // One part more than allowed is parsed, so that an error can name its field.
    limits: { ...HEADERS, parts: maxParts + 1, fileSize: most },
    // Otherwise the parser decodes the values of texts.
    isPartAFile: () => true,
    // Buffers as large as the form: a part without a name that fills one would stop the parser for ever.
    highWaterMark: most,
    fileHwm: most,
  };
  const parts: Part[] = [];
  let encoded: string | undefined;
  try {
    for await (const part of request.parts(options)) {
      if (part.type !== 'file') throw malformed('it has a part without data');
      const { fieldname: field = '', filename, mimetype, encoding } = part;
      if (ENCODED.includes(encoding))
        throw malformed(`a part is encoded as ${encoding}; expected the bytes themselves`);
      parts.push({ field, isFile: filename !== undefined || mimetype !== TEXT, data: await part.toBuffer() });
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    const { code = '', message } = error as Error & { code?: string };
    throw malformed(message, parserCodes[code], error);
  }
  if (encoded !== undefined) throw malformed(`a part is encoded as ${encoded}; expected the bytes themselves`);
  if (parts.length > maxParts) throw new Problem('too-many-parts', `a form has at most ${maxParts} parts here`);
  return parts;
}

const malformed = (what: string, code: ProblemCode = 'multipart-malformed', cause?: unknown): Problem =>
  new Problem(code, `the form cannot be read: ${what}`, { cause });

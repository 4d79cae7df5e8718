import type { FastifyRequest } from 'fastify';
import { Problem, type ProblemCode } from '../errors.js';

export interface Part {
  readonly field: string;
  /** False for a form's text value. */
  readonly isFile: boolean;
  readonly data: Buffer;
}

/** The parser's own errors that say more than that the form is malformed. */
const parserCodes: Readonly<Record<string, ProblemCode>> = {
  FST_PARTS_LIMIT: 'too-many-parts',
  FST_PROTO_VIOLATION: 'wrong-field',
};

/**
 * Reads a form's parts into memory; all together hold no more bytes than a body may have.
 * @throws Problem multipart-malformed, too-many-parts, too-many-bytes, wrong-field
 */
export async function readParts(request: FastifyRequest, maxParts: number): Promise<Part[]> {
  const parts: Part[] = [];
  const budget = { left: request.routeOptions.bodyLimit };
  if (Number(request.headers['content-length'] ?? 0) > budget.left) throw tooManyBytes(request);
  try {
    // One part more than allowed, so that its field can be named; every part as a file, so that none is decoded as text.
    for await (const part of request.parts({ limits: { parts: maxParts + 1 }, isPartAFile: () => true })) {
      if (part.type !== 'file') throw new Problem('multipart-malformed', 'the form holds a part without data');
      const data = await collect(part.file, budget, request);
      parts.push({ field: (part.fieldname as string | undefined) ?? '', isFile: part.filename !== undefined, data });
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    const { code, message } = error as Error & { code?: string };
    const kind = parserCodes[code ?? ''] ?? 'multipart-malformed';
    throw new Problem(kind, `the form cannot be read: ${message}`, { cause: error });
  }
  if (parts.length > maxParts) throw new Problem('too-many-parts', `a form has at most ${maxParts} parts here`);
  return parts;
}

async function collect(
  stream: AsyncIterable<Buffer>,
  budget: { left: number },
  request: FastifyRequest,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) {
    budget.left -= chunk.length;
    if (budget.left < 0) throw tooManyBytes(request);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const tooManyBytes = (request: FastifyRequest): Problem =>
  new Problem('too-many-bytes', `the body has more than ${request.routeOptions.bodyLimit} bytes`);

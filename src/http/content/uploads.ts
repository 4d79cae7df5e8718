import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from '../../common/problems.js';
import { type Part, parseForm } from '../libraries/multipart.js';
import { receiveBody } from './bodies.js';

/** Media types of an image, and of features, that is sent as the whole body. */
export const imageTypes = ['image/*', 'application/octet-stream'];
export const featureTypes = [
  'application/x-npy',
  'application/x-safetensors',
  'application/json',
  'application/octet-stream',
];

/** What a route takes. */
export interface Expected {
  /** Fields of a form, with the largest number of files in each. */
  readonly fields: Readonly<Record<string, number>>;
  /** Media types of a single file sent as the whole body; it counts as the form's only field. */
  readonly raw: readonly string[];
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Uploaded files by field; every field that a route expects is there with at least one file. */
    uploads: Readonly<Record<string, readonly Uint8Array[]>>;
  }
}

/** What curl and other clients declare by default. */
const UNDECLARED = ['', 'application/octet-stream', 'application/x-www-form-urlencoded'];

/** Adds `request.uploads`, which routes fill by the hook `receive`. */
export function installUploads(app: FastifyInstance): void {
  app.decorateRequest('uploads');
}

/**
 * The hook of a route that takes files: fills `request.uploads`.
 * @throws Problem body-empty, unsupported-media-type, missing-part, wrong-field, too-many-parts, and as `readForm`
 */
export const receive = (expected: Expected) => ({
  preValidation: async (request: FastifyRequest): Promise<void> => {
    request.uploads = await uploadsIn(request, expected);
    const { timeline, since } = request.work;
    timeline.add({ stage: 'read', start: since, end: performance.now() });
  },
});

/** The media type that a request declares, without parameters; empty when it declares none. */
export const declaredType = ({ headers }: FastifyRequest): string =>
  (headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();

/** The media type of a form with files. */
export const FORM = 'multipart/form-data';

async function uploadsIn(request: FastifyRequest, expected: Expected): Promise<FastifyRequest['uploads']> {
  const type = declaredType(request);
  if (type === FORM) {
    const maxParts = Object.values(expected.fields).reduce((a, b) => a + b);
    return byField(await readForm(request, maxParts), expected.fields);
  }
  const body = (request.body ?? Buffer.alloc(0)) as Buffer;
  return { [Object.keys(expected.fields)[0]!]: [rawFile(body, type, expected)] };
}

/** Bytes of memory that a chunk takes beside its own. */
const CHUNK_OVERHEAD = 200;

/**
 * Reads a form. Its end is awaited also when it is wrong: a reply to a client that still sends may be lost.
 * @throws Problem as `parseForm` and `receiveBody`; overloaded
 */
export async function readForm(request: FastifyRequest, maxParts: number): Promise<Part[]> {
  const { raw, routeOptions } = request;
  const parsed = parseForm(request, maxParts, routeOptions.bodyLimit);
  const received = receiveBody(request, raw, (chunk) => request.hold(chunk.length + CHUNK_OVERHEAD));
  // Whichever fails, the rest of the form is dropped.
  for (const failing of [parsed, received]) failing.catch(() => raw.unpipe().resume());
  await received;
  return parsed;
}

function rawFile(body: Buffer, type: string, { fields, raw }: Expected): Uint8Array {
  const taken = raw.length > 0 && (UNDECLARED.includes(type) || raw.some((r) => matches(r, type)));
  if (!taken && (body.length > 0 || type !== '')) {
    const types = [FORM, ...raw].join(', ');
    throw new Problem(
      'unsupported-media-type',
      `the body is declared as ${type.slice(0, 100) || 'nothing'}; expected ${types}`,
    );
  }
  if (body.length === 0) throw new Problem('body-empty', `the request has no body; expected ${described(fields)}`);
  return body;
}

const matches = (pattern: string, type: string): boolean =>
  pattern.endsWith('/*') ? type.startsWith(pattern.slice(0, -1)) : pattern === type;

function byField(parts: readonly Part[], fields: Expected['fields']): Record<string, Uint8Array[]> {
  const files: Record<string, Uint8Array[]> = Object.fromEntries(Object.keys(fields).map((field) => [field, []]));
  for (const { field, isFile, data } of parts) {
    const known = Object.hasOwn(files, field) ? files[field] : undefined;
    if (!known)
      throw new Problem(
        'wrong-field',
        `there is no field ${JSON.stringify(field.slice(0, 64))}; expected ${described(fields)}`,
      );
    if (!isFile) throw new Problem('missing-part', `the field ${field} holds a text, not a file`);
    if (known.length === fields[field])
      throw new Problem('too-many-parts', `the field ${field} holds too many; expected ${described(fields)}`);
    known.push(data);
  }
  const missing = Object.keys(fields).find((field) => files[field]!.length === 0);
  if (missing)
    throw new Problem('missing-part', `the form has no file in the field ${missing}; expected ${described(fields)}`);
  return files;
}

const described = (fields: Expected['fields']): string => {
  const files = Object.entries(fields).map(
    ([name, max]) => `${max > 1 ? `up to ${max} files` : 'a file'} in the field ${name}`,
  );
  return `a form with ${files.join(' and ')}`;
};

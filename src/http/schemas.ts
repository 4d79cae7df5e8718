import { type Static, type TSchema, Type } from 'typebox';
import { Manifest } from '../../export/model/manifest.js';
import { problemCodes } from '../common/problems.js';
import { type Format, mediaTypes } from '../operations/formats.js';
import { errorResponse } from '../protocols/oip/schemas.js';

export const Problem = Type.Object(
  {
    type: Type.String({ description: 'a URN that ends in the code' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'what was wrong, what was expected, what to do' }),
    code: Type.Enum(problemCodes, { type: 'string' }),
    requestId: Type.Optional(Type.String({ description: 'also in the header X-Request-Id and in the log' })),
  },
  { $id: 'Problem', description: 'RFC 9457 problem details' },
);

/** Schemas that the document has once and refers to. */
export const shared = [
  Problem,
  Type.Object(Manifest.properties, { $id: 'Manifest', description: 'what is known about a model' }),
];

const reference = <T extends TSchema>(name: string) => Type.Unsafe<Static<T>>({ $ref: `${name}#` });
export const ManifestReference = reference<typeof Manifest>('Manifest');

/** Headers of replies to requests that failed, under /v2 too. */
export const failureHeaders = {
  'Retry-After': { type: 'integer', description: 'with 429 and 503: seconds after which another attempt makes sense' },
};

/** The errors of the Open Inference Protocol. */
export const oipFailure = { ...errorResponse, headers: failureHeaders };

export const problemResponse = {
  description: 'The request failed',
  headers: failureHeaders,
  content: { 'application/problem+json': { schema: reference<typeof Problem>('Problem') } },
};

/** Headers that a request for work may have, under /v2 too. Hooks read them. */
export const workHeaders = {
  'Irevnet-Timeout-Ms': Type.Optional(
    Type.Integer({ minimum: 1, description: 'milliseconds that the client waits; then the answer is 504' }),
  ),
};

export const ModelQuery = Type.Optional(
  Type.String({ description: 'name of a model; the shipped one by default', maxLength: 200 }),
);

export const InvertQuery = Type.Optional(
  Type.Enum(['auto', 'yes', 'no'], {
    type: 'string',
    default: 'auto',
    description:
      'whether light and dark are swapped, for a model whose subjects are light on dark. auto: yes when the border is light, unless the image already has exactly the size and the colours that the model takes',
  }),
);

export const formatQuery = <F extends Format>(formats: F[], description: string) =>
  Type.Optional(Type.Enum(formats, { type: 'string', description: `${description}; wins over the Accept header` }));

const Bytes = (description: string) => Type.Unsafe<Uint8Array>({ type: 'string', format: 'binary', description });

export const Done = Type.Object(
  {
    source: Type.Object(
      { type: Type.String(), width: Type.Integer(), height: Type.Integer() },
      { description: 'the upload, as it is seen' },
    ),
    done: Type.Array(Type.String(), { description: 'what was done to it, in order; empty: nothing' }),
  },
  { description: 'how an image was prepared for the model' },
);

export const Numbers = Type.Object({
  shape: Type.Array(Type.Integer()),
  data: Type.Array(Type.Number(), { description: 'flat, row by row' }),
});

const raw = (types: readonly string[]) =>
  Object.fromEntries(types.map((type) => [type, { schema: type === mediaTypes.json ? Numbers : Bytes('one file') }]));

/**
 * A body that is a form with files in the field `file`, or one file as it is.
 * @param most files in the form; undefined: as many as a setting allows
 */
export const fileBody = (description: string, types: readonly string[], most?: number) => ({
  description,
  required: true,
  content: {
    'multipart/form-data': {
      schema: Type.Object({
        file: Type.Array(Bytes('a file'), { minItems: 1, ...(most !== undefined && { maxItems: most }) }),
      }),
    },
    ...raw(types),
  },
});

/** A body that is a form with one file in each field. */
export const formBody = (description: string, fields: readonly string[]) => ({
  description,
  required: true,
  content: {
    'multipart/form-data': { schema: Type.Object(Object.fromEntries(fields.map((field) => [field, Bytes('a file')]))) },
  },
});

/** A reply in one of several formats. */
export const formatResponse = (description: string, formats: readonly Format[], json: TSchema) => ({
  description,
  headers: {
    'Irevnet-Model': { type: 'string', description: 'name of the model' },
    'Irevnet-Shape': { type: 'string', description: 'shape of the array, as numbers between commas' },
    'Content-Disposition': { type: 'string', description: 'a name for a file with the reply' },
  },
  content: Object.fromEntries(
    formats.map((format) => [
      mediaTypes[format],
      { schema: mediaTypes[format] === mediaTypes.json ? json : Bytes(`as ${format}`) },
    ]),
  ),
});

/** Recovered images as JSON. */
export const Recovered = Type.Object({
  model: Type.String(),
  image: Type.Object(Numbers.properties, { description: 'the network input: normalised pixels [N, C, H, W]' }),
  pixels: Type.Object(Numbers.properties, { description: '8-bit pixels [N, H, W, C]' }),
});

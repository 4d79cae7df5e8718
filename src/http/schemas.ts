import { type Static, type TSchema, Type } from 'typebox';
import { Manifest } from '../../export/model/manifest.js';
import { problemCodes } from '../common/problems.js';
import { type Format, mediaTypes } from '../operations/formats.js';

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
export const shared = [Problem, Type.Object(Manifest.properties, { $id: 'Manifest' })];

const reference = <T extends TSchema>(name: string) => Type.Unsafe<Static<T>>({ $ref: `${name}#` });
export const ManifestReference = reference<typeof Manifest>('Manifest');

export const problemResponse = {
  description: 'The request failed',
  content: { 'application/problem+json': { schema: reference<typeof Problem>('Problem') } },
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

const raw = (types: readonly string[], description: string) =>
  Object.fromEntries(types.map((type) => [type, { schema: Bytes(description) }]));

/** A body that is a form with files in the field `file`, or one file as it is. */
export const fileBody = (description: string, types: readonly string[]) => ({
  description,
  required: true,
  content: {
    'multipart/form-data': { schema: Type.Object({ file: Type.Array(Bytes('a file'), { minItems: 1 }) }) },
    ...raw(types, 'one file'),
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
    'irevnet-model': { type: 'string', description: 'name of the model' },
    'irevnet-shape': { type: 'string', description: 'shape of the array, as numbers between commas' },
  },
  content: Object.fromEntries(
    formats.map((format) => [mediaTypes[format], { schema: format === 'json' ? json : Bytes(`as ${format}`) }]),
  ),
});

/** Recovered images as JSON. */
export const Recovered = Type.Object({
  model: Type.String(),
  image: Type.Object(Numbers.properties, { description: 'the network input: normalised pixels [N, C, H, W]' }),
  pixels: Type.Object(Numbers.properties, { description: '8-bit pixels [N, H, W, C]' }),
});

import { Type } from 'typebox';
import type { Engine } from '../../engine/engine.js';
import { encode } from '../../operations/encode.js';
import { type EncodeFormat, encodeFormats } from '../../operations/formats.js';
import type { App } from '../app-type.js';
import { negotiate } from '../content/negotiate.js';
import { sendAs } from '../content/reply.js';
import { imageTypes, receive } from '../content/uploads.js';
import {
  Done,
  fileBody,
  formatQuery,
  formatResponse,
  InvertQuery,
  ModelQuery,
  Numbers,
  problemResponse,
} from '../schemas.js';

const formats = Object.keys(encodeFormats) as EncodeFormat[];

const Query = Type.Object(
  { model: ModelQuery, format: formatQuery(formats, 'npy by default'), invert: InvertQuery },
  { additionalProperties: false },
);

const Features = Type.Object({
  model: Type.String(),
  ...Numbers.properties,
  images: Type.Array(Done),
});

const schema = {
  operationId: 'encode',
  summary: 'Compute the features of images',
  tags: ['images'],
  querystring: Query,
  upload: fileBody('images in any size', imageTypes),
  response: {
    200: formatResponse('features, float32 [N, C, H, W]', formats, Features),
    default: problemResponse,
  },
};

/** POST /encode */
export function encodeRoute(app: App, engine: Engine): void {
  const hooks = receive({ fields: { file: engine.limits.maxImages }, raw: imageTypes });
  app.post('/encode', { schema, ...hooks }, async ({ uploads, headers, query, work }, reply) => {
    const format = negotiate(formats, query.format, headers.accept) ?? 'npy';
    const encoded = await encode(engine, uploads.file!, { work, invert: 'auto', ...query });
    const { model, features: tensor } = encoded;
    return sendAs(reply, { name: 'features', format, model, tensor }, () => encodeFormats[format](encoded));
  });
}

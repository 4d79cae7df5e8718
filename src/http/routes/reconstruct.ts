import { Type } from 'typebox';
import type { Engine } from '../../engine/engine.js';
import { type ReconstructFormat, reconstructFormats } from '../../operations/formats.js';
import { reconstruct } from '../../operations/reconstruct.js';
import type { App } from '../app-type.js';
import { negotiate } from '../content/negotiate.js';
import { sendAs } from '../content/reply.js';
import { imageTypes, receive } from '../content/uploads.js';
import { Done, fileBody, formatQuery, formatResponse, InvertQuery, ModelQuery, problemResponse } from '../schemas.js';

const formats = Object.keys(reconstructFormats) as ReconstructFormat[];

const Query = Type.Object(
  {
    model: ModelQuery,
    format: formatQuery(formats, 'png by default: a contact sheet; json: the numbers'),
    invert: InvertQuery,
  },
  { additionalProperties: false },
);

const Reconstructed = Type.Object({
  model: Type.String(),
  images: Type.Array(
    Type.Object({
      name: Type.String(),
      relativeError: Type.Number({ description: "‖x − Φ⁻¹(Φ(x))‖₂ / ‖x‖₂ of the network's input x" }),
      largest: Type.Number({ description: 'the largest difference, in grey levels of 255' }),
      exactFloat: Type.Boolean({ description: 'every float32 bit of the input came back' }),
      lostPixels: Type.Integer({ description: 'pixel values that differ after rounding to 8 bits' }),
      image: Done,
      pictures: Type.Object(
        { input: Type.String(), recovered: Type.String(), residual: Type.String() },
        {
          description:
            'what the network saw, what came back, and the residual: grey is none, black and white the largest; PNGs as data URLs',
        },
      ),
    }),
    { description: 'one an image, in order' },
  ),
});

const schema = {
  operationId: 'reconstruct',
  summary: 'Encode images, decode their features, and compare',
  tags: ['images'],
  querystring: Query,
  upload: fileBody('images in any size', imageTypes),
  response: {
    200: formatResponse(
      'a row an image: what the network saw, what came back, and the residual, amplified',
      formats,
      Reconstructed,
    ),
    default: problemResponse,
  },
};

/** POST /reconstruct */
export function reconstructRoute(app: App, engine: Engine): void {
  const hooks = receive({ fields: { file: engine.limits.maxImages }, raw: imageTypes });
  app.post('/reconstruct', { schema, ...hooks }, async ({ uploads, headers, query, work }, reply) => {
    const format = negotiate(formats, query.format, headers.accept) ?? 'png';
    const result = await reconstruct(engine, uploads.file!, { work, invert: 'auto', ...query });
    const { model, residual: tensor } = result;
    return sendAs(reply, { name: 'reconstructed', format, model, tensor }, () => reconstructFormats[format](result));
  });
}

import { Type } from 'typebox';
import type { Engine } from '../../engine/engine.js';
import { decode } from '../../operations/decode.js';
import { type DecodeFormat, decodeFormats } from '../../operations/formats.js';
import type { App } from '../app-type.js';
import { negotiate } from '../content/negotiate.js';
import { sendAs } from '../content/reply.js';
import { featureTypes, receive } from '../content/uploads.js';
import { fileBody, formatQuery, formatResponse, ModelQuery, problemResponse, Recovered } from '../schemas.js';

const formats = Object.keys(decodeFormats) as DecodeFormat[];

const Query = Type.Object(
  { model: ModelQuery, format: formatQuery(formats, 'png by default, npy for several images') },
  { additionalProperties: false },
);

const schema = {
  summary: 'Recover images from features',
  tags: ['images'],
  querystring: Query,
  upload: fileBody(
    'features, float32 [N, C, H, W], as .npy, safetensors or JSON {"shape": […], "data": […]}',
    featureTypes,
    1,
  ),
  response: {
    200: formatResponse('the image; npy holds the network input as floats', formats, Recovered),
    default: problemResponse,
  },
};

/** POST /decode, and the same as POST /invert */
export function decodeRoute(app: App, engine: Engine): void {
  const hooks = receive({ fields: { file: 1 }, raw: featureTypes });
  for (const operationId of ['decode', 'invert']) {
    app.post(
      `/${operationId}`,
      { schema: { operationId, ...schema }, ...hooks },
      async ({ uploads, headers, query, work }, reply) => {
        const wanted = negotiate(formats, query.format, headers.accept);
        const recovered = await decode(engine, uploads.file![0]!, { work, ...query });
        const format = wanted ?? (recovered.pixels.dims[0] === 1 ? 'png' : 'npy');
        const { model, image: tensor } = recovered;
        return sendAs(reply, { name: 'image', format, model, tensor }, () => decodeFormats[format](recovered));
      },
    );
  }
}

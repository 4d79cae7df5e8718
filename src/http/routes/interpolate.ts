import { Type } from 'typebox';
import type { Engine } from '../../engine/engine.js';
import { type InterpolateFormat, interpolateFormats } from '../../operations/formats.js';
import { DEFAULT_STEPS, interpolate } from '../../operations/interpolate.js';
import type { App } from '../app-type.js';
import { negotiate } from '../content/negotiate.js';
import { sendAs } from '../content/reply.js';
import { receive } from '../content/uploads.js';
import {
  formatQuery,
  formatResponse,
  formBody,
  InvertQuery,
  ModelQuery,
  problemResponse,
  Recovered,
} from '../schemas.js';

const formats = Object.keys(interpolateFormats) as InterpolateFormat[];

const Query = Type.Object(
  {
    model: ModelQuery,
    steps: Type.Optional(
      Type.Integer({ minimum: 2, description: `frames, both ends included; ${DEFAULT_STEPS} by default` }),
    ),
    format: formatQuery(formats, 'png by default: the frames side by side; gif: animated'),
    invert: InvertQuery,
  },
  { additionalProperties: false },
);

const schema = {
  operationId: 'interpolate',
  summary: 'Images on the line between the features of two images',
  tags: ['images'],
  querystring: Query,
  upload: formBody('two images', ['a', 'b']),
  response: {
    200: formatResponse('the frames, from a to b', formats, Recovered),
    default: problemResponse,
  },
};

/** POST /interpolate */
export function interpolateRoute(app: App, engine: Engine): void {
  const hooks = receive({ fields: { a: 1, b: 1 }, raw: [] });
  app.post('/interpolate', { schema, ...hooks }, async ({ uploads, headers, query, work }, reply) => {
    const format = negotiate(formats, query.format, headers.accept) ?? 'png';
    const options = { work, names: ['the field a', 'the field b'], invert: 'auto', ...query } as const;
    const frames = await interpolate(engine, uploads.a![0]!, uploads.b![0]!, options);
    const { model, image: tensor } = frames;
    return sendAs(reply, { name: 'frames', format, model, tensor }, () => interpolateFormats[format](frames));
  });
}

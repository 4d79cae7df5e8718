import { Type } from 'typebox';
import { aboutPair } from '../../analysis/about.js';
import { metamer } from '../../analysis/metamer.js';
import type { Engine } from '../../engine/engine.js';
import type { App } from '../app-type.js';
import { receive } from '../content/uploads.js';
import { Done, formBody, InvertQuery, ModelQuery, problemResponse } from '../schemas.js';

const schema = {
  operationId: 'metamer',
  summary: 'Pictures that the classifier cannot tell from another one',
  tags: ['images'],
  querystring: Type.Object({ model: ModelQuery, invert: InvertQuery }, { additionalProperties: false }),
  upload: formBody('two images', ['a', 'b']),
  response: {
    200: Type.Object(
      {
        model: Type.String(),
        ...metamer.result.properties,
        images: Type.Array(Done, { description: 'how A and B were prepared' }),
      },
      { description: 'two pictures with the logits of A, and what is left of them in 8 bits' },
    ),
    default: problemResponse,
  },
};

/** POST /metamer. It needs the weights, which are not here where a remote server runs the models. */
export function metamerRoute(app: App, engine: Engine): void {
  if (engine.backend.kind === 'oip') return;
  const hooks = receive({ fields: { a: 1, b: 1 }, raw: [] });
  app.post('/metamer', { schema, ...hooks }, ({ uploads, query, work }) =>
    aboutPair(engine, uploads.a![0]!, uploads.b![0]!, {
      work,
      names: ['the field a', 'the field b'],
      invert: 'auto',
      ...query,
    }),
  );
}

import { Type } from 'typebox';
import type { Engine } from '../../engine/engine.js';
import { classify } from '../../operations/classify.js';
import type { App } from '../app-type.js';
import { imageTypes, receive } from '../content/uploads.js';
import { Done, fileBody, InvertQuery, ModelQuery, problemResponse } from '../schemas.js';

const Query = Type.Object(
  {
    model: ModelQuery,
    topK: Type.Optional(Type.Integer({ minimum: 1, description: 'labels for each image, best first; 5 by default' })),
    invert: InvertQuery,
  },
  { additionalProperties: false },
);

const Score = Type.Object({ index: Type.Integer(), label: Type.String(), probability: Type.Number() });

const Classified = Type.Object(
  {
    model: Type.String(),
    predictions: Type.Array(Type.Object({ top: Type.Array(Score), image: Done })),
  },
  { description: 'labels with probabilities: one prediction an image, in order' },
);

const schema = {
  operationId: 'classify',
  summary: 'Classify images',
  tags: ['images'],
  querystring: Query,
  upload: fileBody('images in any size', imageTypes),
  response: {
    200: Classified,
    default: problemResponse,
  },
};

/** POST /classify */
export function classifyRoute(app: App, engine: Engine): void {
  const hooks = receive({ fields: { file: engine.limits.maxImages }, raw: imageTypes });
  app.post('/classify', { schema, ...hooks }, ({ uploads, query, work }) =>
    classify(engine, uploads.file!, { work, invert: 'auto', ...query }),
  );
}

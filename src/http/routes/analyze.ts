import { Type } from 'typebox';
import { about } from '../../analysis/about.js';
import { image } from '../../analysis/image.js';
import type { Engine } from '../../engine/engine.js';
import type { App } from '../app-type.js';
import { imageTypes, receive } from '../content/uploads.js';
import { Done, fileBody, InvertQuery, ModelQuery, problemResponse } from '../schemas.js';

const Query = Type.Object(
  {
    model: ModelQuery,
    spectrum: Type.Optional(
      Type.Boolean({ description: 'false: without the spectrum of the Jacobian, which takes seconds' }),
    ),
    invert: InvertQuery,
  },
  { additionalProperties: false },
);

const schema = {
  operationId: 'analyze',
  summary: 'Everything about one picture: labels, inversion, the spectrum of the Jacobian, channels',
  tags: ['images'],
  querystring: Query,
  upload: fileBody('a picture of any size', imageTypes),
  response: {
    200: Type.Object(
      { model: Type.String(), ...image.result.properties, image: Done },
      { description: 'labels, margin, inversion, spectrum and channels of the picture' },
    ),
    default: problemResponse,
  },
};

/** POST /analyze. It needs the weights, which are not here where a remote server runs the models. */
export function analyzeRoute(app: App, engine: Engine): void {
  if (engine.backend.kind === 'oip') return;
  const hooks = receive({ fields: { file: 1 }, raw: imageTypes });
  app.post('/analyze', { schema, ...hooks }, ({ uploads, query, work }) =>
    about(engine, uploads.file![0]!, { work, invert: 'auto', ...query }),
  );
}

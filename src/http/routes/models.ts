import { Type } from 'typebox';
import { type Engine, modelOf } from '../../engine/engine.js';
import type { App } from '../app-type.js';
import { ManifestReference, problemResponse } from '../schemas.js';

const summary = 'What is known about a model';

const list = {
  operationId: 'listModels',
  summary: 'What can be served',
  tags: ['models'],
  response: {
    200: Type.Object(
      {
        default: Type.String({ description: 'the model used where none is named' }),
        models: Type.Array(ManifestReference),
        unavailable: Type.Array(Type.Object({ name: Type.String(), reason: Type.String() }), {
          description: 'models of the models folder that cannot be served',
        }),
      },
      { description: 'every model' },
    ),
    default: problemResponse,
  },
};

const one = {
  operationId: 'getModel',
  summary,
  tags: ['models'],
  params: Type.Object({ name: Type.String() }),
  response: { 200: ManifestReference, default: problemResponse },
};

/** GET /models and GET /models/{name} */
export function modelsRoute(app: App, engine: Engine): void {
  app.get('/models', { schema: list }, async () => ({
    default: engine.defaultModel,
    models: [...engine.models.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    unavailable: [...engine.repository.unavailable].map(([name, reason]) => ({ name, reason })),
  }));
  app.get('/models/:name', { schema: one }, async ({ params }) => modelOf(engine, params.name));
}

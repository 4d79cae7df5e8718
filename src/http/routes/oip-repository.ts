import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { Problem } from '../../common/problems.js';
import type { Engine } from '../../engine/engine.js';
import { checkControlRequest, indexOf, readIndexRequest } from '../../protocols/oip/repository.js';
import { controlBody, indexBody, ModelReady, RepositoryIndex } from '../../protocols/oip/schemas.js';
import type { App } from '../app-type.js';
import { declaredType, FORM } from '../content/uploads.js';
import { oipFailure } from '../schemas.js';
import { checkReady } from './service.js';

/** Bytes of a body: it is a few words of JSON. */
const BODY_LIMIT = 2 ** 16;

/** The model repository extension of the Open Inference Protocol: POST /v2/repository/index, …/load and …/unload */
export function repositoryRoutes(app: App, engine: Engine): void {
  const { models, repository } = engine;
  const index = {
    operationId: 'repositoryIndex',
    summary: 'Every model of the models folder, and whether it is served',
    tags: ['oip'],
    command: indexBody,
    response: { 200: RepositoryIndex, default: oipFailure },
  };
  app.post('/v2/repository/index', { schema: index, bodyLimit: BODY_LIMIT }, async (request) => {
    const onlyReady = readIndexRequest(bodyOf(request));
    const entries = indexOf(await repository.states(), [...models.values()]);
    return onlyReady ? entries.filter(({ state }) => state === 'READY') : entries;
  });

  for (const control of ['load', 'unload'] as const) {
    const schema = {
      operationId: control === 'load' ? 'repositoryModelLoad' : 'repositoryModelUnload',
      summary: control === 'load' ? 'Load a model, or its folder again' : 'End serving a model',
      tags: ['oip'],
      params: Type.Object({ model: Type.String() }),
      command: controlBody,
      response: { 200: ModelReady, default: oipFailure },
    };
    const url = `/v2/repository/models/:model/${control}`;
    app.post(url, { schema, bodyLimit: BODY_LIMIT }, async (request) => {
      checkAllowed(engine);
      checkControlRequest(bodyOf(request));
      const { model } = request.params;
      await until(request.work.signal, repository[control](model));
      return { name: model, ready: models.has(model) };
    });
  }
}

/** @throws Problem model-control-off, draining, not-ready */
function checkAllowed(engine: Engine): void {
  if (engine.limits.modelControlMode !== 'explicit')
    throw new Problem('model-control-off', 'clients may not load and unload models of this service');
  checkReady(engine);
}

function bodyOf(request: FastifyRequest): unknown {
  if (declaredType(request) !== FORM) return request.body;
  throw new Problem('unsupported-media-type', 'the body is a form; expected JSON, or none');
}

/** Waits no longer than the client does. A load that has begun goes on. */
function until<T>(signal: AbortSignal, done: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    done.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

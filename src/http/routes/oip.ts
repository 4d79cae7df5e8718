import type { FastifyReply, FastifyRequest } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { version } from '../../../export/files/package.js';
import { Problem } from '../../common/problems.js';
import { absent, type Engine, modelOf } from '../../engine/engine.js';
import { malformed } from '../../protocols/oip/expect.js';
import { configOf, metadataOf, type Served, servedModels, servedOf } from '../../protocols/oip/models.js';
import { JSON_LENGTH, readInferRequest } from '../../protocols/oip/request.js';
import { type Answer, writeInferResponse } from '../../protocols/oip/response.js';
import {
  inferBody,
  inferHeaders,
  inferResponse,
  Live,
  ModelConfig,
  ModelMetadata,
  ModelReady,
  Ready,
  ServerMetadata,
} from '../../protocols/oip/schemas.js';
import type { App } from '../app-type.js';
import { sendChunks } from '../content/reply.js';
import { declaredType, FORM } from '../content/uploads.js';
import { oipFailure } from '../schemas.js';
import { checkReady } from './service.js';

const schemaOf = <R extends TSchema>(operationId: string, summary: string, response: R) => ({
  operationId,
  summary,
  tags: ['oip'],
  response: { 200: response, default: oipFailure },
});

/** The path of a model, without and with its version, and what its operations are called in front. */
const modelPaths = [
  { id: 'model', url: '/v2/models/:model', params: Type.Object({ model: Type.String() }) },
  {
    id: 'modelVersion',
    url: '/v2/models/:model/versions/:version',
    params: Type.Object({ model: Type.String(), version: Type.String() }),
  },
];

/** All routes of the Open Inference Protocol, version 2. */
export function oipRoutes(app: App, engine: Engine): void {
  serverRoutes(app, engine);
  modelRoutes(app, engine, ({ model, version }) => {
    if (engine.repository.unavailable.has(model)) throw absent(engine, model);
    return servedOf(servedModels([...engine.models.values()]), model, version);
  });
}

/** GET /v2, /v2/health/live and /v2/health/ready */
function serverRoutes(app: App, engine: Engine): void {
  // The protocol's text has the first path, its OpenAPI document the second.
  for (const url of ['/v2', '/v2/']) {
    const schema = { ...schemaOf('serverMetadata', 'The server', ServerMetadata), hide: url === '/v2/' };
    app.get(url, { schema }, async () => ({
      name: 'irevnet',
      version,
      extensions: ['binary_tensor_data', 'model_configuration', 'model_repository'],
    }));
  }
  app.get('/v2/health/live', { schema: schemaOf('serverLive', 'Liveness', Live) }, async () => ({ live: true }));
  app.get('/v2/health/ready', { schema: schemaOf('serverReady', 'Readiness', Ready) }, async () => {
    checkReady(engine);
    return { ready: true };
  });
}

type Find = (params: { readonly model: string; readonly version?: string }) => Served;

/** GET a model, GET …/config, GET …/ready and POST …/infer */
function modelRoutes(app: App, engine: Engine, find: Find): void {
  for (const { id, url, params } of modelPaths) {
    const metadata = { ...schemaOf(`${id}Metadata`, 'What a model takes and gives', ModelMetadata), params };
    app.get(url, { schema: metadata }, async (request) => metadataOf(find(request.params)));

    const config = { ...schemaOf(`${id}Config`, "A model's configuration, as Triton has it", ModelConfig), params };
    app.get(`${url}/config`, { schema: config }, async (request) =>
      configOf(find(request.params), engine.limits.maxImages),
    );

    const ready = { ...schemaOf(`${id}Ready`, 'Readiness of a model', ModelReady), params };
    app.get(`${url}/ready`, { schema: ready }, async (request) => {
      const { name } = find(request.params);
      checkReady(engine);
      return { name, ready: true };
    });

    const infer = {
      operationId: `${id}Infer`,
      summary: 'Run a model',
      tags: ['oip'],
      params,
      upload: inferBody,
      sent: inferHeaders,
      response: { 200: inferResponse, default: oipFailure },
    };
    app.post(`${url}/infer`, { schema: infer }, async (request, reply) =>
      send(reply, await run(engine, request, find(request.params))),
    );
  }
}

async function run(engine: Engine, request: FastifyRequest, served: Served): Promise<Answer> {
  const { work, headers } = request;
  const model = modelOf(engine, served.model, work);
  const body = bodyOf(request);
  work.timeline.add({ stage: 'read', start: work.since, end: performance.now() });
  const { maxImages } = engine.limits;
  const length = headers[JSON_LENGTH]?.toString();
  const asked = await work.timeline.time('decode', () => readInferRequest(body, length, served, maxImages));
  work.admit(asked.images);
  const input = await work.timeline.time('decode', asked.readInput);
  const { graph } = served;
  const outputs = asked.wanted.map(({ tensor }) => tensor.name);
  const results = await engine.run({ model, graph, input, outputs, work });
  return work.timeline.time('encode', () => writeInferResponse(served, asked, results));
}

function bodyOf(request: FastifyRequest): Uint8Array {
  const { body } = request;
  if (declaredType(request) === FORM) throw new Problem('unsupported-media-type', 'the body is a form; expected JSON');
  if (!Buffer.isBuffer(body) || body.length === 0) throw malformed('the request has no body; expected JSON');
  return body;
}

/** Sends the JSON and, after it, the bytes of the tensors without a copy. */
function send(reply: FastifyReply, { head, tail }: Answer): FastifyReply {
  if (tail.length === 0) return sendChunks(reply.type('application/json'), [head]);
  reply.header(JSON_LENGTH, head.length).type('application/octet-stream');
  return sendChunks(reply, [head, ...tail]);
}

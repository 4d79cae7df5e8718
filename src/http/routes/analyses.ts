import { type TObject, type TSchema, Type } from 'typebox';
import { experiments } from '../../analysis/experiments.js';
import type { Analyses } from '../../analysis/jobs/analyses.js';
import { Job, jobFigures } from '../../analysis/jobs/job.js';
import { optionsOf, Request } from '../../analysis/jobs/request.js';
import type { Engine } from '../../engine/engine.js';
import { mediaTypes } from '../../operations/formats.js';
import type { App } from '../app-type.js';
import { sendEvents } from '../content/events.js';
import { negotiate } from '../content/negotiate.js';
import { sendChunks } from '../content/reply.js';
import { formatQuery, formatResponse, problemResponse } from '../schemas.js';
import { checkReady } from './service.js';

/** Bytes of a request for a job: it is a few words of JSON. */
const BODY_LIMIT = 2 ** 16;

/** An SVG that a browser shows by itself has pictures and styles inside, and no script. */
const figurePolicy = "default-src 'none';img-src data:;style-src 'unsafe-inline';frame-ancestors 'none'";

const link = (description: string) => Type.String({ description });
const links = {
  links: Type.Object({
    self: link('with the result'),
    events: link('server-sent events'),
    figure: Type.Union([Type.String(), Type.Null()], { description: 'null until the job is done' }),
  }),
};
/** A job without its result. */
const Listed = { ...Job.properties, ...links };

const params = Type.Object({ id: Type.String() });
const answer = <S extends number, T extends TSchema>(status: S, schema: T) =>
  ({ [status]: schema, default: problemResponse }) as Record<S, T> & { default: typeof problemResponse };
const described = (operationId: string, summary: string) => ({ operationId, summary, tags: ['analyses'] });

const schemas = {
  start: {
    ...described('startAnalysis', 'Run an experiment on a model and a data set, as a job'),
    command: { required: true, content: { 'application/json': { schema: Request } } },
    response: {
      202: {
        description: 'the job is queued',
        headers: { Location: { type: 'string', description: 'the job' } },
        content: { 'application/json': { schema: Type.Object(Listed) } },
      },
      default: problemResponse,
    },
  },
  list: {
    ...described('listAnalyses', 'Jobs that are kept, and what can be asked for'),
    response: answer(
      200,
      Type.Object(
        {
          analyses: Type.Array(Type.Object(Listed), { description: 'the newest first' }),
          experiments: Type.Array(
            Type.Object({
              name: Type.String(),
              title: Type.String(),
              description: Type.String(),
              needs: Type.Object(
                {
                  data: Type.Optional(Type.Enum(['test', 'train'], { type: 'string' })),
                  labels: Type.Optional(Type.Boolean()),
                  inverse: Type.Optional(Type.Boolean()),
                },
                {
                  description:
                    'what it cannot do without: images to learn from, their labels, a network with an inverse',
                },
              ),
              options: Type.Unsafe<TObject>({
                type: 'object',
                additionalProperties: true,
                description: 'JSON Schema of the options',
              }),
            }),
          ),
          datasets: Type.Array(Type.String(), { description: 'names of data sets' }),
        },
        { description: 'jobs, experiments and data sets' },
      ),
    ),
  },
  one: {
    ...described('getAnalysis', 'State and result of a job'),
    params,
    response: answer(
      200,
      Type.Object(
        {
          ...Listed,
          result: Type.Unknown({ description: 'as `irevnet analyze` prints it; null until the job is done' }),
        },
        { description: 'the job' },
      ),
    ),
  },
  events: {
    ...described('followAnalysis', 'State and progress of a job as server-sent events, until it is over'),
    params,
    response: {
      200: {
        description: 'events of the name job: the job without its result, now and whenever it has changed',
        content: { 'text/event-stream': { schema: Type.String() } },
      },
      default: problemResponse,
    },
  },
  figure: {
    ...described('getAnalysisFigure', 'The figure of a job that is done'),
    params,
    querystring: Type.Object(
      { format: formatQuery([...jobFigures], 'svg by default; vl.json: the Vega-Lite specification') },
      { additionalProperties: false },
    ),
    response: {
      200: {
        ...formatResponse('the figure', jobFigures, Type.Unknown()),
        headers: { 'Content-Disposition': { type: 'string', description: 'a name for a file with the figure' } },
      },
      default: problemResponse,
    },
  },
  delete: {
    ...described('deleteAnalysis', 'Cancel a job, or remove one that is over'),
    params,
    response: answer(200, Type.Object(Listed, { description: 'the job, cancelled; or, removed, as it was' })),
  },
};

const withLinks = (job: Job) => {
  const self = `/analyses/${job.id}`;
  const figure = job.state === 'done' ? `${self}/figure` : null;
  return { ...job, links: { self, events: `${self}/events`, figure } };
};

/** POST, GET and DELETE /analyses. They need the weights, which are not here where a remote server runs the models. */
export function analysesRoutes(app: App, engine: Engine, analyses: Analyses): void {
  if (engine.backend.kind === 'oip') return;

  app.post('/analyses', { schema: schemas.start, bodyLimit: BODY_LIMIT }, async ({ body }, reply) => {
    checkReady(engine);
    const job = await analyses.start(body);
    return reply.code(202).header('location', `/analyses/${job.id}`).send(withLinks(job));
  });

  app.get('/analyses', { schema: schemas.list }, async () => ({
    analyses: analyses.list().map(withLinks),
    experiments: Object.values(experiments).map((experiment) => {
      const { name, title, description, needs } = experiment;
      return { name, title, description, needs, options: optionsOf(experiment) };
    }),
    datasets: [...analyses.datasets.keys()],
  }));

  app.get('/analyses/:id', { schema: schemas.one }, async ({ params: { id } }, reply) => {
    const result = await analyses.result(id);
    // Results are large, and JSON already.
    const job = JSON.stringify(withLinks(analyses.find(id)));
    return sendChunks(reply.type(mediaTypes.json), [Buffer.from(`${job.slice(0, -1)},"result":${result}}`)]);
  });

  app.get('/analyses/:id/events', { schema: schemas.events }, async ({ params: { id }, work }, reply) => {
    analyses.find(id);
    return sendEvents(reply, 'job', jobs(analyses.follow(id, work.signal)));
  });

  const onSend = async (_request: unknown, reply: { header(name: string, value: string): unknown }) => {
    reply.header('content-security-policy', figurePolicy);
  };
  app.get(
    '/analyses/:id/figure',
    { schema: schemas.figure, onSend },
    async ({ params: { id }, query, headers }, reply) => {
      const format = negotiate(jobFigures, query.format, headers.accept) ?? jobFigures[0];
      const figure = await analyses.figure(id, format);
      const { experiment, model } = analyses.find(id);
      reply.headers({ 'content-disposition': `inline; filename="${experiment}-${model}.${format}"`, vary: 'accept' });
      return reply.type(mediaTypes[format]).send(figure);
    },
  );

  app.delete('/analyses/:id', { schema: schemas.delete }, async ({ params: { id } }) =>
    withLinks(await analyses.delete(id)),
  );
}

async function* jobs(followed: AsyncIterable<Job>) {
  for await (const job of followed) yield withLinks(job);
}

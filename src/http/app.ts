import { createServer } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { type FastifyBaseLogger, fastify, LogController } from 'fastify';
import { Analyses } from '../analysis/jobs/analyses.js';
import type { Config } from '../common/config.js';
import type { Engine } from '../engine/engine.js';
import { createMetrics } from '../observe/metrics.js';
import type { App } from './app-type.js';
import { installBodies } from './content/bodies.js';
import { installUploads } from './content/uploads.js';
import { installClosing } from './hooks/closing.js';
import { installSecurityHeaders } from './hooks/headers.js';
import { installKeys, readKeys } from './hooks/keys.js';
import { installLifetime } from './hooks/lifetime.js';
import { installObservation, requestIdOf } from './hooks/observation.js';
import { installProblems, onError } from './hooks/problems.js';
import { installRequestWork } from './hooks/request-work.js';
import { installShedding } from './hooks/shedding.js';
import { installCors } from './libraries/cors.js';
import { installDocs } from './libraries/docs.js';
import { installMultipart } from './libraries/multipart.js';
import { installPage } from './libraries/page.js';
import { installRateLimit } from './libraries/rate-limit.js';
import { routes } from './routes/index.js';
import { refuseOnSocket, trackReplies } from './sockets.js';

/** Milliseconds between two searches for clients that send too slowly. */
const CHECK_CONNECTIONS = 5000;

/**
 * Composes the service over an engine. It does not listen, and does not close the engine.
 * @param keys digests of the API keys, if they are read already
 */
export async function buildApp(
  config: Config,
  engine: Engine,
  logger: FastifyBaseLogger,
  metrics = createMetrics(),
  keys?: readonly Buffer[],
): Promise<App> {
  const timeout = config.timeout * 1000;
  // Node.js exchanges the two timeouts when that of the headers is the longer one.
  const headersTimeout = Math.min(config.headersTimeout * 1000, timeout);
  const app: App = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: requestIdOf,
    trustProxy: config.trustProxy > 0 && ((_address, hop) => hop < config.trustProxy),
    bodyLimit: Math.min(config.maxBytes, config.maxBuffer),
    serverFactory: (handler) => {
      const listener = trackReplies(handler);
      const server = createServer(
        {
          headersTimeout,
          requestTimeout: timeout,
          keepAliveTimeout: config.keepAlive * 1000,
          connectionsCheckingInterval: Math.min(headersTimeout, CHECK_CONNECTIONS),
        },
        listener,
      );
      // An expectation other than 100-continue is disregarded: Node.js would answer 417 without a body.
      server.on('checkExpectation', listener);
      // A silent connection may belong to a request that takes all its time to arrive, and as long to be answered.
      return server.setTimeout(2 * timeout + 5000);
    },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    ajv: { customOptions: { removeAdditional: false } },
    // No hook runs for these two: their problems are counted here.
    frameworkErrors(error, request, reply) {
      onError(error, request, reply);
      if (request.failure) metrics.rejected(request.failure.code);
    },
    clientErrorHandler(error, socket) {
      const code = refuseOnSocket(error, socket);
      if (code) metrics.rejected(code);
    },
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.server.maxConnections = config.maxConnections;
  // First, so that what the others refuse is observed.
  installLifetime(app);
  await installObservation(app, metrics, config);
  installSecurityHeaders(app);
  await installCors(app, config.corsOrigins);
  installClosing(app);
  installShedding(app, engine);
  installRequestWork(app, engine, config.timeout);
  installKeys(app, keys ?? (await readKeys(config)));
  await installRateLimit(app, config.rateLimit);
  installProblems(app);
  installBodies(app, config.maxBuffer);
  await installMultipart(app);
  installUploads(app);
  await installDocs(app);
  await installPage(app);
  const analyses = new Analyses(engine, config, logger);
  // Before connections are waited for: streams of events end with it.
  app.addHook('preClose', () => analyses.close());
  if (engine.backend.kind !== 'oip') await analyses.resume();
  for (const route of routes) route(app, engine, analyses);
  return app;
}

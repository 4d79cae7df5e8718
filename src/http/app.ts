import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController, type RawServerDefault } from 'fastify';
import type { Config } from '../common/config.js';
import type { Engine } from '../engine/engine.js';
import { createMetrics } from '../observe/metrics.js';
import { installBodies } from './bodies.js';
import { installClosing } from './closing.js';
import { installCors } from './cors.js';
import { installDocs } from './docs.js';
import { installEnded } from './ended.js';
import { installKeys, readKeys } from './keys.js';
import { installLog, requestIdOf } from './log.js';
import { installMetrics } from './metrics.js';
import { installProblems, onError } from './problems.js';
import { installRateLimit } from './rate-limit.js';
import { installRequestWork } from './request-work.js';
import { routes } from './routes/index.js';
import { installSecurityHeaders } from './security-headers.js';
import { installServerTiming } from './server-timing.js';
import { createShedding } from './shedding.js';
import { closingAll, oneByOne, refuseOnSocket } from './sockets.js';
import { installTracing } from './tracing.js';
import { installUploads } from './uploads.js';

/** How often slow senders are looked for, in milliseconds. */
const CHECK_CONNECTIONS = 5000;

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** The service over an engine: composition only. It does not listen, and does not close the engine. */
export async function buildApp(
  config: Config,
  engine: Engine,
  logger: FastifyBaseLogger,
  metrics = createMetrics(),
): Promise<App> {
  const timeout = config.timeout * 1000;
  const headersTimeout = Math.min(config.headersTimeout * 1000, timeout);
  const bodyLimit = Math.min(config.maxBytes, config.maxBuffer);
  const shedding = createShedding(engine, logger, metrics, bodyLimit);
  const app: App = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: requestIdOf,
    trustProxy: config.trustProxy > 0 && ((_address, hop) => hop < config.trustProxy),
    bodyLimit,
    serverFactory: (handler) =>
      createServer(
        {
          // Node takes the two for each other when that of the headers is larger.
          headersTimeout,
          requestTimeout: timeout,
          keepAliveTimeout: config.keepAlive * 1000,
          connectionsCheckingInterval: Math.min(headersTimeout, CHECK_CONNECTIONS),
        },
        closingAll(shedding.door(handler)),
        // A quiet connection outlives a request that takes as long as it may to arrive and to be answered.
      ).setTimeout(2 * timeout + 5000),
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    ajv: { customOptions: { removeAdditional: false } },
    // These come before all hooks.
    frameworkErrors(error, request, reply) {
      onError(error, request, reply);
      if (request.failure) metrics.rejected(request.failure.code);
    },
    clientErrorHandler: oneByOne((error, socket) => {
      const code = refuseOnSocket(error, socket);
      if (code) metrics.rejected(code);
    }),
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.server.maxConnections = config.maxConnections;
  // First of all: the log tells the id of the trace, and what the others refuse is counted.
  installEnded(app);
  await installTracing(app, config.otlpEndpoint);
  installLog(app);
  installMetrics(app, metrics);
  installServerTiming(app);
  installSecurityHeaders(app);
  await installCors(app, config.corsOrigins);
  installClosing(app);
  shedding.install(app);
  installRequestWork(app, engine, config.timeout);
  installKeys(app, await readKeys(config));
  await installRateLimit(app, config.rateLimit);
  installProblems(app);
  installBodies(app, config.maxBuffer);
  await installUploads(app);
  await installDocs(app);
  for (const route of routes) route(app, engine);
  return app;
}

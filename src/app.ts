import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController, type RawServerDefault } from 'fastify';
import type { Config } from './config.js';
import type { Engine } from './inference/engine.js';
import { installClosing } from './plugins/closing.js';
import { installDeadline } from './plugins/deadline.js';
import { installDocs } from './plugins/docs.js';
import { installLog } from './plugins/log.js';
import { installProblems, onError } from './plugins/problems.js';
import { refuseOnSocket } from './plugins/sockets.js';
import { installUploads } from './plugins/uploads.js';
import { routes } from './routes/index.js';

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
export async function buildApp(config: Config, engine: Engine, logger: FastifyBaseLogger): Promise<App> {
  const timeout = config.timeout * 1000;
  const app: App = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    bodyLimit: config.maxBytes,
    requestTimeout: timeout,
    // Node takes the two for each other when that of the headers is larger.
    http: {
      headersTimeout: timeout,
      requestTimeout: timeout,
      connectionsCheckingInterval: Math.min(timeout, CHECK_CONNECTIONS),
    },
    // A quiet connection outlives a request that takes as long as it may to arrive and to be answered.
    connectionTimeout: 2 * timeout + 5000,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    ajv: { customOptions: { removeAdditional: false } },
    frameworkErrors: onError,
    clientErrorHandler: refuseOnSocket,
  }).withTypeProvider<TypeBoxTypeProvider>();
  installLog(app);
  installClosing(app);
  installDeadline(app, config.timeout);
  installProblems(app);
  await installUploads(app);
  await installDocs(app);
  for (const route of routes) route(app, engine);
  return app;
}

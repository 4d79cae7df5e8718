import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { problemOf, type Reason } from '../errors.js';
import type { Engine } from '../inference/engine.js';
import type { Metrics } from '../metrics/metrics.js';
import { requestIdOf } from './log.js';
import { addressOf, problemReply } from './problems.js';

/** Load shedding: what there is no room for is refused before anything else is done for it. */
export interface Shedding {
  /** A server's listener with a door in front. */
  door(handler: RequestListener): RequestListener;
  /** Has the routes that take an upload refuse what comes past the door. */
  install(app: FastifyInstance): void;
}

/**
 * While there is no room, requests that would bring an upload are refused at the door, at a fifth of what it costs to
 * refuse them in the app; so the service goes on for those inside, however many are outside. They are counted, and the log
 * tells once a second how many there were; they are not traced, nor asked for a key. What needs more care passes the door,
 * and meets the same question in the app: pages of other origins, bodies that are large or of unknown length, and all
 * requests while the app closes.
 * @throws Problem not-ready, overloaded
 */
export function createShedding(engine: Engine, log: FastifyBaseLogger, metrics: Metrics, bodyLimit: number): Shedding {
  const routes: { url: string; address: RegExp }[] = [];
  let closing = false;
  const passes = ({ method, headers }: IncomingMessage): boolean =>
    closing ||
    method !== 'POST' ||
    headers.origin !== undefined ||
    headers.expect !== undefined ||
    !(Number(headers['content-length']) <= bodyLimit);
  const told = perSecond((counts) => log.warn(counts, 'refused for want of room'));
  /** Whether it was refused. */
  const refused = (request: IncomingMessage, response: ServerResponse): boolean => {
    if (passes(request)) return false;
    const reason = lackOfRoom(engine);
    if (!reason) return false;
    const url = request.url!;
    const path = url.split('?', 1)[0]!;
    const route = routes.find(({ address }) => address.test(path))?.url;
    if (!route) return false;
    const { code, message, retryAfter } = reason;
    const id = requestIdOf(request);
    const { status, headers, body } = problemReply({ url, id }, code, message, retryAfter);
    const bytes = JSON.stringify(body);
    response.writeHead(status, {
      'content-length': Buffer.byteLength(bytes),
      'x-request-id': id,
      ...fixed,
      ...headers,
    });
    response.end(bytes);
    metrics.shed(route, status, code);
    told(code);
    return true;
  };
  return {
    door: (handler) => (request, response) => void (refused(request, response) || handler(request, response)),
    install(app) {
      app.addHook('preClose', async () => {
        closing = true;
      });
      app.addHook('onRoute', (route) => {
        if (!route.schema?.upload) return;
        routes.push({ url: route.url, address: addressOf(route.url) });
        route.onRequest = async () => {
          const reason = lackOfRoom(engine);
          if (reason) throw problemOf(reason);
        };
      });
    },
  };
}

/** No page of any origin gets these replies: what else browsers are told with others is without use here. */
const fixed = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

/** Why nothing can come in now: not-ready, overloaded. */
const lackOfRoom = ({ status, admission }: Engine): Reason | undefined =>
  admission.lack() ??
  (status().started ? undefined : { code: 'not-ready', message: 'the models are still being loaded' });

/** Counts by name, and tells the counts of each second in which there was something. */
function perSecond(tell: (counts: Record<string, number>) => void): (name: string) => void {
  let counts: Record<string, number> | undefined;
  return (name) => {
    if (!counts) {
      counts = {};
      setTimeout(() => {
        tell(counts!);
        counts = undefined;
      }, 1000).unref();
    }
    counts[name] = (counts[name] ?? 0) + 1;
  };
}

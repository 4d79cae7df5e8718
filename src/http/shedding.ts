import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { type ProblemCode, problemOf, type Reason } from '../common/problems.js';
import type { Engine } from '../engine/engine.js';
import type { Metrics } from '../observe/metrics.js';
import { requestIdOf } from './log.js';
import { addressOf, problemReply } from './problems.js';

/** Load shedding: what there is no room for is refused before anything else is done for it. */
export interface Shedding {
  /** A server's listener with a door in front. */
  door(handler: RequestListener): RequestListener;
  /** Has the routes that take an upload refuse what comes past the door. */
  install(app: FastifyInstance): void;
}

/** What everybody is sent who is refused for one reason at one route. */
interface Refusal {
  readonly url: string;
  readonly reason: Reason;
  readonly status: number;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  /** What comes before and after each id in the body. */
  readonly body: readonly string[];
}

interface Route {
  readonly url: string;
  readonly address: RegExp;
  last?: Refusal;
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
  const routes: Route[] = [];
  let closing = false;
  const passes = ({ method, headers }: IncomingMessage): boolean =>
    closing ||
    method !== 'POST' ||
    headers.origin !== undefined ||
    headers.expect !== undefined ||
    !(Number(headers['content-length']) <= bodyLimit);
  const counted = gathered<Refusal>(setImmediate, (counts) => {
    for (const [{ url, status, reason }, count] of counts) metrics.shed(url, status, reason.code, count);
  });
  const told = gathered<ProblemCode>(
    (tell) => setTimeout(tell, 1000).unref(),
    (counts) => log.warn(Object.fromEntries(counts), 'refused for want of room'),
  );
  /** Who is refused in this turn of the loop. One reply after the other at its end wakes whoever reads them once, not for each. */
  let turn: Parameters<typeof answer>[] = [];
  const answerTurn = () => {
    const all = turn;
    turn = [];
    for (const one of all) answer(...one);
  };
  /** Whether it was refused. */
  const refused = (request: IncomingMessage, response: ServerResponse): boolean => {
    if (passes(request)) return false;
    const reason = lackOfRoom(engine);
    if (!reason) return false;
    const path = request.url!.split('?', 1)[0]!;
    const route = routes.find(({ address }) => address.test(path));
    if (!route) return false;
    if (route.last?.reason !== reason) route.last = refusalOf(route.url, reason);
    if (turn.push([response, requestIdOf(request), route.last]) === 1) setImmediate(answerTurn);
    counted(route.last);
    told(reason.code);
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

/** Stands for the id of a request: no text of ours has it. */
const ID = '\0';

function refusalOf(url: string, reason: Reason): Refusal {
  const { status, headers, body } = problemReply({ url, id: ID }, reason.code, reason.message, reason.retryAfter);
  return {
    url,
    reason,
    status,
    headers: Object.entries({ ...fixed, ...headers }).flatMap(([name, value]) => [name, String(value)]),
    body: JSON.stringify(body).split(JSON.stringify(ID).slice(1, -1)),
  };
}

function answer(response: ServerResponse, id: string, { status, headers, body }: Refusal): void {
  const text = body.join(id);
  response.writeHead(status, [...headers, 'content-length', String(Buffer.byteLength(text)), 'x-request-id', id]);
  endAtOnce(response, text);
}

/**
 * Ends a reply whose headers tell its length. `end(text)` makes two pieces of it, and a tenth of what a refusal costs is the
 * second: so plain text goes with the head, which Node keeps in a field that many packages know and no manual.
 */
function endAtOnce(response: ServerResponse & { _header?: unknown }, text: string): void {
  if (typeof response._header !== 'string' || Buffer.byteLength(text) > text.length) return void response.end(text);
  response._header += text;
  response.end();
}

const starting: Reason = { code: 'not-ready', message: 'the models are still being loaded' };

/** Why nothing can come in now: not-ready, overloaded. */
const lackOfRoom = ({ status, admission }: Engine): Reason | undefined =>
  admission.lack() ?? (status().started ? undefined : starting);

/** Counts by key; where there was something, tells the counts when it is time. */
function gathered<Key>(
  whenTime: (tell: () => void) => void,
  tell: (counts: ReadonlyMap<Key, number>) => void,
): (key: Key) => void {
  let counts = new Map<Key, number>();
  return (key) => {
    if (counts.size === 0) {
      whenTime(() => {
        const all = counts;
        counts = new Map();
        tell(all);
      });
    }
    counts.set(key, (counts.get(key) ?? 0) + 1);
  };
}

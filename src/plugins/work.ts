import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from '../errors.js';
import type { Engine } from '../inference/engine.js';
import { type Cancellation, Canceller, createTimeline, type Timeline, type Work } from '../work.js';

/** The header by which a client says how long it will wait. */
export const TIMEOUT_HEADER = 'irevnet-timeout-ms';

export interface RequestWork extends Work {
  readonly cancellation: Cancellation;
  readonly timeline: Timeline;
  admit(images: number): void;
  /** When the request's headers had arrived, by `performance.now()`. */
  readonly since: number;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Cancelled when the answer takes too long, or the client has gone. */
    work: RequestWork;
  }
}

/**
 * Gives each request its deadline, its timeline and its place in the house, which it leaves when its answer is sent. (The
 * framework's own `request.signal` and `handlerTimeout` end with the stream of the request, which for an upload is before
 * the work begins.)
 * @throws Problem timeout-invalid
 */
export function installWork(app: FastifyInstance, { admission }: Engine, seconds: number): void {
  const longest = seconds * 1000;
  app.decorateRequest('work');
  app.addHook('onRequest', async (request, reply) => {
    const wait = longestOf(request, longest);
    const cancellation = new Canceller();
    const leave: (() => void)[] = [];
    request.work = {
      cancellation,
      timeline: createTimeline(),
      since: performance.now(),
      admit: (images) => void leave.push(admission.enter(images)),
    };
    // Who does not read the answer is cut off as well.
    const sent = setTimeout(() => reply.raw.destroy(), 2 * longest);
    reply.raw.once('close', () => {
      clearTimeout(late);
      clearTimeout(sent);
      for (const out of leave) out();
      if (!reply.raw.writableEnded) cancellation.cancel(new Problem('request-malformed', 'the client has gone'));
    });
    const late = setTimeout(() => {
      cancellation.cancel(new Problem('answer-timeout', `the answer took more than ${wait} ms`));
    }, wait);
  });
}

function longestOf(request: FastifyRequest, longest: number): number {
  const text = request.headers[TIMEOUT_HEADER];
  if (text === undefined) return longest;
  const wait = /^\d{1,9}$/.test(String(text)) ? Number(text) : 0;
  if (wait > 0) return Math.min(wait, longest);
  throw new Problem('timeout-invalid', `the header ${TIMEOUT_HEADER} is ${JSON.stringify(text).slice(0, 40)}`);
}

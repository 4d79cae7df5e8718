import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from '../common/problems.js';
import { Canceller, Timeline, type Work } from '../common/work.js';
import type { Admission } from '../engine/admission.js';
import type { Engine } from '../engine/engine.js';
import { CLIENT_CLOSED } from './ended.js';

/** The header by which a client says how long it will wait. */
export const TIMEOUT_HEADER = 'irevnet-timeout-ms';

declare module 'fastify' {
  interface FastifyRequest {
    work: RequestWork;
  }
}

/** What is done for a request. It is cancelled when that takes too long, or its client has gone. */
export class RequestWork implements Work {
  readonly cancellation = new Canceller();
  readonly timeline = new Timeline();
  /** When the request's headers had arrived, by `performance.now()`. */
  readonly since = performance.now();
  readonly #admission: Admission;
  readonly #leave: (() => void)[] = [];
  #timer: NodeJS.Timeout;

  /**
   * @param wait milliseconds until the answer is too late
   * @param longest until whoever does not read it is cut off, by `cut`
   */
  constructor(admission: Admission, wait: number, longest: number, cut: () => void) {
    this.#admission = admission;
    this.#timer = setTimeout(() => {
      this.cancellation.cancel(new Problem('answer-timeout', `the answer took more than ${wait} ms`));
      this.#timer = setTimeout(cut, longest - wait);
    }, wait);
  }

  admit(images: number): void {
    this.#leave.push(this.#admission.enter(images));
  }

  /** It is answered, or nobody waits for it any more. */
  end(answered: boolean): void {
    clearTimeout(this.#timer);
    for (const out of this.#leave) out();
    if (!answered) this.cancellation.cancel(new Problem('request-malformed', 'the client has gone'));
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
  app.follow({
    over: ({ work }, { status }) => work?.end(status !== CLIENT_CLOSED),
  });
  app.addHook('onRequest', async (request, reply) => {
    request.work = new RequestWork(admission, longestOf(request, longest), 2 * longest, () => reply.raw.destroy());
  });
}

function longestOf(request: FastifyRequest, longest: number): number {
  const text = request.headers[TIMEOUT_HEADER];
  if (text === undefined) return longest;
  const wait = /^\d{1,9}$/.test(String(text)) ? Number(text) : 0;
  if (wait > 0) return Math.min(wait, longest);
  throw new Problem('timeout-invalid', `the header ${TIMEOUT_HEADER} is ${JSON.stringify(text).slice(0, 40)}`);
}

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from '../../common/problems.js';
import { Timeline, type Work } from '../../common/work.js';
import type { Admission } from '../../engine/admission.js';
import type { Engine } from '../../engine/engine.js';
import { CLIENT_CLOSED } from './lifetime.js';

/** The header by which a client says how many milliseconds it waits. */
export const TIMEOUT_HEADER = 'irevnet-timeout-ms';

declare module 'fastify' {
  interface FastifyRequest {
    work: RequestWork;
  }
}

/** The work for one request, which is aborted when its deadline passes or its client goes. */
export class RequestWork implements Work {
  readonly timeline = new Timeline();
  /** When the request's headers had arrived, by `performance.now()`. */
  readonly since = performance.now();
  readonly #abort = new AbortController();
  readonly signal: AbortSignal = this.#abort.signal;
  readonly #admission: Admission;
  readonly #releases: (() => void)[] = [];
  #over = false;
  #timer: NodeJS.Timeout;

  /**
   * @param deadline milliseconds after which the work is aborted and the client is told so
   * @param longest milliseconds after which `disconnect` is called, if the client has not read the reply by then
   */
  constructor(admission: Admission, deadline: number, longest: number, disconnect: () => void) {
    this.#admission = admission;
    this.#timer = setTimeout(() => {
      this.#abort.abort(new Problem('answer-timeout', `the answer took more than ${deadline} ms`));
      this.#timer = setTimeout(disconnect, longest - deadline);
    }, deadline);
  }

  /** Takes slots for images, which are released when the request is over. @throws Problem overloaded */
  admit(images: number): void {
    this.finally(this.#admission.enter(images));
  }

  /** Has something released when the request is over; at once if it is over already. */
  finally(release: () => void): void {
    if (this.#over) release();
    else this.#releases.push(release);
  }

  /** Lets the reply last as long as its client reads it: for a stream of events. */
  endless(): void {
    clearTimeout(this.#timer);
  }

  /** @param answered whether the reply was sent; else the client has gone, and the work is aborted */
  end(answered: boolean): void {
    this.#over = true;
    clearTimeout(this.#timer);
    for (const release of this.#releases) release();
    if (!answered) this.#abort.abort(new Problem('request-malformed', 'the client has gone'));
  }
}

/**
 * Gives each request its deadline, its timeline and its admission slots, which it holds until its reply is sent. (Fastify's
 * own `request.signal` and `handlerTimeout` end with the stream of the request, which for an upload is before the work
 * begins.)
 * @throws Problem timeout-invalid
 */
export function installRequestWork(app: FastifyInstance, { admission }: Engine, seconds: number): void {
  const longest = seconds * 1000;
  app.decorateRequest('work');
  app.follow({
    over: ({ work }, { status }) => work?.end(status !== CLIENT_CLOSED),
  });
  app.addHook('onRequest', async (request, reply) => {
    const disconnect = () => reply.raw.destroy();
    request.work = new RequestWork(admission, deadlineOf(request, longest), 2 * longest, disconnect);
  });
}

function deadlineOf(request: FastifyRequest, longest: number): number {
  const text = request.headers[TIMEOUT_HEADER];
  if (text === undefined) return longest;
  const milliseconds = /^\d{1,9}$/.test(String(text)) ? Number(text) : 0;
  if (milliseconds > 0) return Math.min(milliseconds, longest);
  throw new Problem('timeout-invalid', `the header ${TIMEOUT_HEADER} is ${JSON.stringify(text).slice(0, 40)}`);
}

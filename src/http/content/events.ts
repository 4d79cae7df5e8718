import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';

/** Milliseconds of silence after which a comment is sent, so that proxies and this service keep the connection. */
const QUIET = 5000;

/**
 * Sends values as server-sent events until there are no more, however long that takes.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function sendEvents(reply: FastifyReply, event: string, values: AsyncIterator<unknown>): FastifyReply {
  reply.request.work.endless();
  reply.headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
  return reply.type('text/event-stream').send(Readable.from(written(event, values)));
}

async function* written(event: string, values: AsyncIterator<unknown>): AsyncGenerator<string> {
  let next = values.next();
  for (;;) {
    const quiet = new AbortController();
    const pause = sleep(QUIET, undefined, { signal: quiet.signal, ref: false }).catch(() => undefined);
    const found = await Promise.race([next, pause]);
    quiet.abort();
    if (!found) yield ': \n\n';
    else if (found.done) return;
    else {
      yield `event: ${event}\ndata: ${JSON.stringify(found.value)}\n\n`;
      next = values.next();
    }
  }
}

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { durations } from '../common/work.js';

/** Tells with each reply where its time went. https://www.w3.org/TR/server-timing/ */
export function installServerTiming(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply) => {
    const times = [...Object.entries(stageTimes(request) ?? {}), ['total', rounded(reply.elapsedTime)]];
    reply.header('server-timing', times.map(([name, ms]) => `${name};dur=${ms}`).join(', '));
  });
}

/** Milliseconds of a request in each stage that it came to, to the hundredth; undefined when it came to none. */
export function stageTimes({ work }: FastifyRequest): Record<string, number> | undefined {
  const times = Object.entries(work ? durations(work.timeline) : {});
  return times.length === 0 ? undefined : Object.fromEntries(times.map(([stage, ms]) => [stage, rounded(ms)]));
}

const rounded = (ms: number): number => Math.round(ms * 100) / 100;

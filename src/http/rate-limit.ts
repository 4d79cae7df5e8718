import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import { Problem } from '../common/problems.js';
import { isHealth } from './health.js';

/**
 * Refuses more requests a minute than allowed for an API key, or for an address where there are no keys (IPv6: for a
 * network of 64 bits); 0 allows any number. Health is not counted.
 * @throws Problem rate-limited
 */
export async function installRateLimit(app: FastifyInstance, perMinute: number): Promise<void> {
  if (perMinute === 0) return;
  await app.register(rateLimit, {
    global: false,
    max: perMinute,
    timeWindow: 60_000,
    keyGenerator: ({ client, ip }) => client || rateLimit.normalizeIP(ip),
  });
  const count = app.createRateLimit();
  app.addHook('onRequest', async (request, reply) => {
    if (isHealth(request)) return;
    const counted = await count(request);
    if (counted.isAllowed || !counted.isExceeded) return;
    reply.header('retry-after', counted.ttlInSeconds);
    throw new Problem('rate-limited', `more than ${perMinute} requests came within a minute`);
  });
}

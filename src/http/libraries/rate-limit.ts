import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import { Problem } from '../../common/problems.js';
import { isHealth } from '../hooks/keys.js';

/**
 * Limits the requests a minute of each API key, or of each address where there are no keys (IPv6: of each network of 64
 * bits). Requests for health are not counted.
 * @param perMinute 0 sets no limit
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

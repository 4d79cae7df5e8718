import helmet from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';

/** For replies that a browser has nothing to load for. */
const api = { defaultSrc: ["'none'"], frameAncestors: ["'none'"] };

/** For the reference at /docs: its own files, styles that its script sets, and images that come as replies. */
export const docsPolicy = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self' 'unsafe-inline'",
  'img-src': "'self' data: blob:",
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
};

/**
 * Tells browsers to run, frame and guess nothing of a reply, and nobody to keep what a POST gave. Pages of other origins
 * read replies by CORS alone, to which Cross-Origin-Resource-Policy does not apply. HTTPS is for a proxy in front to ask.
 */
export async function installSecurityHeaders(app: FastifyInstance): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: api },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    referrerPolicy: { policy: 'no-referrer' },
    strictTransportSecurity: false,
    xFrameOptions: { action: 'deny' },
  });
  app.addHook('onRequest', async ({ method }, reply) => {
    if (method === 'POST') reply.header('cache-control', 'no-store');
  });
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import helmet, { type HelmetOptions } from 'helmet';

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
 * What helmet sets, which is the same for every reply. (Asked anew for each, it keeps all that belongs to a request in memory
 * until the next full collection of garbage.)
 */
function headersOf(options: HelmetOptions): Record<string, string> {
  const found: Record<string, string> = {};
  const reply = {
    setHeader(name: string, value: string) {
      found[name.toLowerCase()] = value;
    },
    removeHeader: () => undefined,
  };
  helmet(options)({} as IncomingMessage, reply as unknown as ServerResponse, (error) => {
    if (error) throw error;
  });
  return found;
}

/**
 * Tells browsers to run, frame and guess nothing of a reply, and nobody to keep what a POST gave. Pages of other origins
 * read replies by CORS alone, to which Cross-Origin-Resource-Policy does not apply. HTTPS is for a proxy in front to ask.
 */
export function installSecurityHeaders(app: FastifyInstance): void {
  const headers = headersOf({
    contentSecurityPolicy: { useDefaults: false, directives: api },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    referrerPolicy: { policy: 'no-referrer' },
    strictTransportSecurity: false,
    xFrameOptions: { action: 'deny' },
  });
  app.addHook('onSend', async ({ method }, reply) => {
    reply.headers(headers);
    if (method === 'POST') reply.header('cache-control', 'no-store');
  });
}

import type { FastifyInstance } from 'fastify';

/**
 * Headers of every reply, for the browsers that get one: load, frame and guess nothing. Strict-Transport-Security is left to
 * a proxy in front, which knows whether there is HTTPS. Pages of other origins read replies by CORS, to which
 * Cross-Origin-Resource-Policy does not apply.
 * https://owasp.org/www-project-secure-headers/
 */
const headers = {
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
};

/** Content-Security-Policy of /docs: its own files, the styles that its script sets, and images that come as replies. */
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

/** Sets the security headers of every reply, and lets no cache keep the reply to a POST. */
export function installSecurityHeaders(app: FastifyInstance): void {
  app.addHook('onSend', async ({ method }, reply) => {
    reply.headers(headers);
    if (method === 'POST') reply.header('cache-control', 'no-store');
  });
}

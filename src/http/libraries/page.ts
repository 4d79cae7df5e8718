import { existsSync } from 'node:fs';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { packagePath } from '../../../export/files/package.js';

/** Content-Security-Policy of the page: its own files, pictures in replies, and requests to this service alone. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join(';');

/**
 * Serves the page at /, from the files that `npm run build` makes of src/web, compressed when they were built. Names of
 * assets change with their contents, so browsers keep them for ever; the page itself is asked for each time. Without a
 * build of the page, / leads to the reference.
 */
export async function installPage(app: FastifyInstance, root = packagePath('dist', 'web')): Promise<void> {
  if (!existsSync(root)) {
    // The address is relative, for a proxy that adds a path.
    app.get('/', { schema: { hide: true } }, async (_request, reply) => reply.redirect('docs/'));
    return;
  }
  await app.register(async (page) => {
    page.addHook('onRoute', (route) => {
      route.schema = { ...route.schema, hide: true };
    });
    page.addHook('onSend', async ({ url }, reply) => {
      reply.header('content-security-policy', policy);
      reply.header('cache-control', url.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache');
    });
    await page.register(fastifyStatic, { root, wildcard: false, preCompressed: true, cacheControl: false });
  });
}

import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import { SettingsError, variableOf } from '../../common/config.js';
import { JSON_LENGTH } from '../../protocols/oip/request.js';
import { TIMEOUT_HEADER } from '../hooks/request-work.js';

/** Request headers that a page may send. */
const sent = ['authorization', 'content-type', 'x-request-id', JSON_LENGTH, TIMEOUT_HEADER];
/** Response headers that a page may read. */
const read = [
  'irevnet-model',
  'irevnet-shape',
  'content-disposition',
  'x-request-id',
  'server-timing',
  'retry-after',
  JSON_LENGTH,
];

/** Seconds for which a browser caches the answer to a preflight. */
const MAX_AGE = 600;

/**
 * Lets pages of other origins call the service from a browser. It must come before the API keys: a preflight has none.
 * @param origins origins between commas; * for all; empty: no CORS headers are sent
 * @throws SettingsError
 */
export async function installCors(app: FastifyInstance, origins: string): Promise<void> {
  if (origins === '') return;
  await app.register(cors, {
    origin: origins === '*' ? '*' : origins.split(',').map((origin) => checked(origin.trim())),
    allowedHeaders: sent,
    exposedHeaders: read,
    maxAge: MAX_AGE,
    strictPreflight: false,
  });
}

function checked(origin: string): string {
  const found = URL.canParse(origin) ? new URL(origin).origin : undefined;
  if (found === origin) return origin;
  const expected = `expected an origin such as ${found ?? 'https://example.org'}, or * alone`;
  throw new SettingsError(`${variableOf('corsOrigins')} has ${JSON.stringify(origin)}: ${expected}`);
}

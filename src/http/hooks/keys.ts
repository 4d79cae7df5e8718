import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Config, SettingsError, variableOf } from '../../common/config.js';
import { Problem } from '../../common/problems.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** SHA-256, in hexadecimal, of the API key that came with the request; empty where none is needed. */
    client: string;
  }
}

/** Routes that orchestrators poll without a key. */
const HEALTH = ['/healthz', '/readyz', '/v2/health/live', '/v2/health/ready'];

/** Whether a request asks for health: it needs no key and has no rate limit. */
export const isHealth = ({ routeOptions }: FastifyRequest): boolean => HEALTH.includes(routeOptions.url ?? '');

/** Whether a request asks for the page or the reference, in which a person enters the key: a browser sends none for them. */
const isPage = ({ routeOptions }: FastifyRequest): boolean =>
  /^\/(docs(\/.*)?|index\.html|assets\/.*)?$/.test(routeOptions.url ?? 'none');

/** Visible ASCII without blanks, long enough not to be guessed. */
const KEY = /^[\x21-\x7e]{16,}$/;

const digestOf = (key: string): Buffer => createHash('sha256').update(key).digest();

/**
 * The digests of the API keys in the file and in the environment; none when neither is set.
 * @throws SettingsError naming the line, never the key
 */
export async function readKeys({ apiKeysFile, apiKeys }: Pick<Config, 'apiKeysFile' | 'apiKeys'>): Promise<Buffer[]> {
  const named = apiKeys === '' ? [] : apiKeys.split(',');
  const inEnvironment = named.map((key, i) => checked(key.trim(), `${variableOf('apiKeys')}, key ${i + 1}`));
  const inFile = apiKeysFile === '' ? [] : keysIn(await readText(apiKeysFile), `the API keys file ${apiKeysFile}`);
  return [...inEnvironment, ...inFile].map(digestOf);
}

function keysIn(text: string, file: string): string[] {
  const lines = text.split('\n').map((line, i) => ({ key: line.trim(), at: `${file}, line ${i + 1}` }));
  const keys = lines.filter(({ key }) => key !== '' && !key.startsWith('#'));
  if (keys.length === 0) throw new SettingsError(`${file} has no key: expected a key a line`);
  return keys.map(({ key, at }) => checked(key, at));
}

function checked(key: string, at: string): string {
  if (KEY.test(key)) return key;
  throw new SettingsError(`${at}: expected a key of at least 16 characters, ASCII without blanks`);
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new SettingsError(`the API keys file ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/**
 * Refuses requests without one of the keys, if there are keys; requests for health, the page and the reference need none.
 * RFC 6750
 * @throws Problem unauthorized
 */
export function installKeys(app: FastifyInstance, digests: readonly Buffer[]): void {
  app.decorateRequest('client', '');
  app.addHook('onRequest', async (request, reply) => {
    const { authorization = '' } = request.headers;
    // Nothing after this hook can log the key; @fastify/multipart would, at the level trace.
    delete request.headers.authorization;
    if (digests.length === 0 || isHealth(request) || isPage(request)) return;
    const key = /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
    const client = key && matching(digestOf(key), digests);
    if (client) request.client = client.toString('hex');
    else {
      reply.header('www-authenticate', 'Bearer');
      throw new Problem('unauthorized', key ? 'the API key is not known' : 'the request has no API key');
    }
  });
}

/** Compares with every digest in constant time, so that the time taken reveals nothing. */
function matching(digest: Buffer, digests: readonly Buffer[]): Buffer | undefined {
  let found: Buffer | undefined;
  for (const known of digests) if (timingSafeEqual(known, digest)) found = known;
  return found;
}

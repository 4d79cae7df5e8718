import { pathToFileURL } from 'node:url';
import { pino } from 'pino';
import { buildApp } from './app.js';
import { readConfig } from './config.js';
import type { Engine } from './inference/engine.js';

/** An engine without models: enough to describe the routes. */
const described: Engine = {
  models: new Map(),
  defaultModel: '',
  limits: readConfig({}, {}),
  run: () => Promise.reject(new Error('this engine only describes')),
  ready: Promise.resolve(),
  isReady: () => false,
  close: async () => undefined,
};

/** The OpenAPI document as YAML; the same for the same routes. */
export async function openapiYaml(): Promise<string> {
  const app = await buildApp(readConfig({}, {}), described, pino({ level: 'silent' }));
  await app.ready();
  const text = app.swagger({ yaml: true });
  await app.close();
  return text;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.stdout.write(await openapiYaml());

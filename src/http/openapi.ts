import { pathToFileURL } from 'node:url';
import { pino } from 'pino';
import { readConfig } from '../common/config.js';
import { createAdmission } from '../engine/admission.js';
import type { Engine } from '../engine/engine.js';
import { buildApp } from './app.js';
import { toYaml } from './libraries/docs.js';

/** An engine without models, which is enough to describe the routes. */
const described: Engine = {
  models: new Map(),
  defaultModel: '',
  folder: '',
  limits: readConfig({}, {}),
  repository: {
    unavailable: new Map(),
    hold: () => () => undefined,
    states: async () => [],
    load: async () => undefined,
    unload: async () => undefined,
    refresh: async () => undefined,
  },
  run: () => Promise.reject(new Error('this engine only describes')),
  ready: Promise.resolve(),
  admission: createAdmission(1),
  status: () => ({ started: false, up: 0, workers: 0, waiting: 0, hung: 0, draining: false }),
  backend: { kind: 'cpu', devices: [], arrangement: {} },
  drain: () => undefined,
  close: async () => undefined,
};

/** The OpenAPI document as YAML, for a service at the address where it listens by default. */
export async function openapiYaml(): Promise<string> {
  const config = readConfig({}, {});
  const app = await buildApp(config, described, pino({ level: 'silent' }));
  await app.ready();
  const servers = [{ url: `http://${config.host}:${config.port}`, description: 'a service on this machine' }];
  const text = toYaml({ ...app.swagger(), servers });
  await app.close();
  return text;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.stdout.write(await openapiYaml());

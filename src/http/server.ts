import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import type { Config } from '../common/config.js';
import type { ModelChange, Observer } from '../engine/backend.js';
import { openEngine } from '../engine/engine.js';
import { createMetrics } from '../observe/metrics.js';
import { buildApp } from './app.js';
import { reloadOnHangup } from './hangup.js';
import { readKeys } from './hooks/keys.js';

/**
 * Serves until SIGTERM or SIGINT. Then /readyz answers 503 while requests are still accepted, for the seconds of grace after
 * SIGTERM; then no more connections are accepted, requests under way are finished, and the function returns.
 * @throws ModelError when a model cannot be served; a system error when the address cannot be taken
 */
export async function serve(config: Config): Promise<void> {
  const log = pino({ level: config.logLevel, name: 'irevnet' });
  const metrics = createMetrics();
  // Before models are loaded, which takes long: the message about a key should not.
  const keys = await readKeys(config);
  const engine = await openEngine(config, { observer: { ...metrics.observer, ...logged(log) } });
  const { because } = engine.backend.arrangement;
  if (because) log.warn({ because }, 'CUDA does not work: the CPU computes');
  const app = await buildApp(config, engine, log, metrics, keys).catch(async (error: Error) => {
    await engine.close();
    throw error;
  });
  const stopped = signalled();
  reloadOnHangup(engine, log);
  warnIfOpen(config, log);
  try {
    await app.listen({
      host: config.host,
      port: config.port,
      // Many clients may connect at once, as after a restart. One that does not fit into the backlog retries after seconds.
      backlog: config.maxConnections,
      listenTextResolver: (address) => `listening at ${address}`,
    });
    await Promise.race([engine.ready, stopped]);
    const { address, port } = app.server.address() as AddressInfo;
    log.info({ models: [...engine.models.keys()], ...engine.backend.arrangement, address, port }, 'ready');
    const signal = await stopped;
    log.info({ signal, grace: config.grace }, 'stopping');
    engine.drain();
    if (signal === 'SIGTERM') await sleep(config.grace * 1000);
  } finally {
    await app.close();
    await engine.close();
  }
  // A thread that hangs in native code cannot be terminated, and a normal exit would wait for it.
  if (engine.status().hung > 0) process.kill(process.pid, 'SIGKILL');
}

/** Says it where strangers may load and unload models. */
function warnIfOpen({ host, modelControlMode, apiKeys, apiKeysFile }: Config, log: Logger): void {
  const local = /^(127\.|::1$|localhost$)/.test(host);
  if (local || modelControlMode === 'none' || apiKeys !== '' || apiKeysFile !== '') return;
  log.warn({ host }, 'every client that reaches this address can load and unload models; set API keys to prevent it');
}

const words: Readonly<Record<ModelChange, string>> = {
  loaded: 'model is loaded',
  renewed: 'model is renewed',
  removed: 'model is removed',
  unavailable: 'model cannot be served',
  kept: 'model stays as it is',
};

/** Logs self-tests, changes of models, and workers and remote servers that are lost. */
const logged = (log: Logger): Observer => ({
  tested(model, found, alike) {
    log.info({ model, ...found }, 'round trip of noise');
    if (!alike)
      log.warn({ model }, 'workers compute different bits: an image that one encodes and another decodes may differ');
  },
  lost: (why, because) => log.warn({ why, because }, 'worker is lost'),
  model: (model, change, because) =>
    because === undefined ? log.info({ model }, words[change]) : log.warn({ model, because }, words[change]),
  server: (url, up, why) => (up ? log.info({ url }, 'server is used') : log.warn({ url, why }, 'server is left alone')),
});

/** Resolves with the first signal to stop; a second one exits at once. */
function signalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        resolve(signal);
        process.once(signal, () => process.exit(1));
      });
    }
  });
}

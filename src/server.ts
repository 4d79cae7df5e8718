import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { buildApp } from './app.js';
import type { Config } from './config.js';
import { openEngine } from './inference/engine.js';

/**
 * Serves until a signal comes; then finishes what is under way and returns.
 * @throws ModelError when a model cannot be served; a system error when the address cannot be taken
 */
export async function serve(config: Config): Promise<void> {
  const log = pino({ level: config.logLevel, name: 'irevnet' });
  const engine = await openEngine(config);
  const app = await buildApp(config, engine, log);
  const stopped = signalled();
  try {
    await app.listen({
      host: config.host,
      port: config.port,
      listenTextResolver: (address) => `listening at ${address}`,
    });
    await Promise.race([engine.ready, stopped]);
    const { address, port } = app.server.address() as AddressInfo;
    log.info({ models: [...engine.models.keys()], address, port }, 'ready');
    log.info({ signal: await stopped }, 'stopping');
  } finally {
    await app.close();
    await engine.close();
  }
}

/** Resolves with the first signal to stop; a second one ends the process at once. */
function signalled(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        resolve(signal);
        process.once(signal, () => process.exit(1));
      });
    }
  });
}

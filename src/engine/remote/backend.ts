import { type Config, SettingsError } from '../../common/config.js';
import { ExitError } from '../../common/exit-codes.js';
import { type OpenBackend, roundTripReporter } from '../backend.js';
import { createCatalog } from '../catalog.js';
import type { StartReplica } from '../replica.js';
import { startRemoteReplica } from './replica.js';
import { connectServer, type Server } from './server.js';

/** Batches at a server at a time: one that it computes, and one that is on its way. */
const BATCHES_AT_ONCE = 2;

/** Remote servers of the Open Inference Protocol, each with a number of replicas. */
export const openRemote: OpenBackend = async (config, models, { observer }) => {
  const urls = urlsOf(config);
  const catalog = createCatalog(config, models, 'cpu');
  const { preload, backendKey: key, hangTimeout } = config;
  const tested = roundTripReporter(observer);
  const servers = urls.map((url) => {
    const down = ({ message }: Error) => observer.server?.(url, false, message);
    const server = connectServer(url, { catalog, preload, key, hangTimeout }, { down, tested });
    server.onUp(() => observer.server?.(url, true));
    return server;
  });
  const anyUp = Promise.any(servers.map(({ first }) => first)).catch(({ errors }: AggregateError) => {
    const reasons = errors.map(({ message }: Error) => message).join('; ');
    throw new ExitError('backend-unreachable', `no server of --backend-url can be used: ${reasons}`);
  });
  const replicaOf =
    (server: Server): StartReplica =>
    (events) => {
      anyUp.catch(events.startFailed);
      return startRemoteReplica(server, events);
    };
  const replicasEach = config.workers || BATCHES_AT_ONCE;
  return {
    kind: 'oip',
    devices: urls,
    arrangement: { servers: urls, workers: replicasEach },
    // The pool fills replicas in this order: no server gets its second batch before the others have their first.
    replicas: Array.from({ length: replicasEach }, () => servers.map(replicaOf)).flat(),
    needed: 1,
    catalog,
    fairShare: false,
    async close() {
      await Promise.all(servers.map((server) => server.close()));
    },
  };
};

/** @throws SettingsError */
function urlsOf({ backendUrl }: Config): string[] {
  const urls = backendUrl.split(',').map((text) => text.trim());
  for (const text of urls) {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (!url || !/^https?:$/.test(url.protocol) || url.username || url.search || url.hash) {
      throw new SettingsError(
        `--backend-url has ${JSON.stringify(text)}: expected a URL such as http://triton:8000, without user and query`,
      );
    }
  }
  return [...new Set(urls.map((url) => url.replace(/\/+$/, '')))];
}

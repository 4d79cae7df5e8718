import { type Config, SettingsError } from '../../common/config.js';
import { ExitError } from '../../common/exit-codes.js';
import type { OpenBackend } from '../backend.js';
import { batchSizes } from '../batch-sizes.js';
import type { Place } from '../member.js';
import { createRemoteMember, type Slot } from './member.js';
import { createServer } from './server.js';

/** Batches under way to a server: one that it computes, and one that is on its way. */
const UNDER_WAY = 2;

/** Servers of the Open Inference Protocol: each batch goes to one that is up and has the least to do. */
export const openRemote: OpenBackend = async (config, models, { observer }) => {
  const urls = urlsOf(config);
  const { limits, buckets } = batchSizes(config, models);
  const { preload, backendKey: key, hangTimeout: seconds } = config;
  const servers = urls.map((url) => {
    const slots = new Set<Slot>();
    const server = createServer(
      url,
      { models, preload, buckets, key, seconds },
      {
        up() {
          observer.server?.(url, true);
          for (const slot of slots) slot.up();
        },
        down(error) {
          observer.server?.(url, false, error.message);
        },
        tested(model, found) {
          const [slot] = slots;
          slot?.tested(model, found);
        },
      },
    );
    return { server, slots };
  });
  const unreachable = Promise.any(servers.map(({ server }) => server.first)).then(
    () => undefined,
    ({ errors }: AggregateError) => {
      const reasons = errors.map(({ message }: Error) => message).join('; ');
      return new ExitError('backend-unreachable', `no server of --backend-url can be used: ${reasons}`);
    },
  );
  const placeOf =
    ({ server, slots }: (typeof servers)[number]): Place =>
    (to) => {
      void unreachable.then((error) => error && to.refused(error));
      const slot = createRemoteMember(server, to);
      slots.add(slot);
      return slot;
    };
  const atOnce = config.workers || UNDER_WAY;
  return {
    kind: 'oip',
    devices: urls,
    arrangement: { servers: urls, workers: atOnce },
    // In turns, so that no server gets its second batch before the others have their first.
    places: Array.from({ length: atOnce }, () => servers.map(placeOf)).flat(),
    needed: 1,
    limits,
    divisible: false,
    async close() {
      await Promise.all(servers.map(({ server }) => server.close()));
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

import type { Device } from '../../export/runtime/session.js';
import { numbersIn, SettingsError } from '../common/config.js';
import { arrange, arrangeOnGpus } from './arrange.js';
import type { OpenBackend } from './backend.js';
import { batchSizes } from './batch-sizes.js';
import { createMember, type Place } from './member.js';
import { chooseProvider } from './provider.js';

/** Worker threads of this process, on its cores or on GPUs. */
export const openLocal: OpenBackend = async (config, models, { spawn }) => {
  if (config.backendUrl !== '') throw new SettingsError('--backend-url needs --backend oip');
  const ids = numbersIn(config.devices);
  const { provider, because } = await chooseProvider(config.executionProvider, ids);
  const { limits, buckets } = batchSizes(config, models, provider);
  const { workers, threads } = provider === 'cpu' ? arrange(config, models) : arrangeOnGpus(config, ids.length);
  const settings = { models, preload: config.preload, buckets, limits, threads };
  const place =
    (device: Device): Place =>
    (to) =>
      createMember({ ...settings, device }, config.hangTimeout, spawn, to);
  return {
    kind: provider,
    devices: provider === 'cpu' ? [''] : ids.map(String),
    arrangement: { provider, workers, threads, ...(because !== undefined && { because }) },
    places: Array.from({ length: workers }, (_, i) => place({ provider, id: ids[i % ids.length]! })),
    needed: workers,
    limits,
    divisible: provider === 'cpu' && config.batchBuckets === '',
  };
};

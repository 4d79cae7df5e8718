import { whyNotCuda } from '../../export/runtime/cuda.js';
import type { Device, Provider } from '../../export/runtime/session.js';
import { type Config, numbersIn, SettingsError } from '../common/config.js';
import { ExitError } from '../common/exit-codes.js';
import { type OpenBackend, roundTripReporter } from './backend.js';
import { createCatalog } from './catalog.js';
import { type StartReplica, startWorkerReplica } from './replica.js';
import { arrangeOnCores, arrangeOnGpus, thisMachine } from './sizing.js';

/** Worker threads of this process, on CPU cores or on GPUs. */
export const openLocal: OpenBackend = async (config, models, { observer, spawn }) => {
  if (config.backendUrl !== '') throw new SettingsError('--backend-url needs --backend oip');
  const gpus = numbersIn(config.devices);
  const { provider, because } = await chooseProvider(config.executionProvider, gpus);
  const catalog = createCatalog(config, models, provider);
  const { workers, threads } =
    provider === 'cpu' ? arrangeOnCores(config, models, thisMachine()) : arrangeOnGpus(config, gpus.length);
  const { preload, hangTimeout } = config;
  const tested = roundTripReporter(observer);
  const replicaOn =
    (device: Device): StartReplica =>
    (events) => {
      const settings = () => ({ models: catalog.editions(), preload, threads, device });
      return startWorkerReplica({ settings, hangTimeout, spawn, tested }, events);
    };
  return {
    kind: provider,
    devices: provider === 'cpu' ? [''] : gpus.map(String),
    arrangement: { provider, workers, threads, ...(because !== undefined && { because }) },
    replicas: Array.from({ length: workers }, (_, i) => replicaOn({ provider, id: gpus[i % gpus.length]! })),
    needed: workers,
    catalog,
    fairShare: provider === 'cpu' && config.batchBuckets === '',
  };
};

interface Choice {
  readonly provider: Provider;
  /** Why the CPU was chosen where a GPU was possible. */
  readonly because?: string;
}

/**
 * Chooses what computes, and tries every GPU, so that nothing falls back to the CPU silently.
 * @param gpus their numbers
 * @throws ExitError provider-unavailable, when CUDA is asked for and does not work
 */
export async function chooseProvider(wanted: Config['executionProvider'], gpus: readonly number[]): Promise<Choice> {
  if (wanted === 'cpu') return { provider: 'cpu' };
  for (const gpu of gpus) {
    const because = await whyNotCuda(gpu);
    if (because === undefined) continue;
    if (wanted === 'auto') return { provider: 'cpu', because };
    throw new ExitError(
      'provider-unavailable',
      `CUDA does not work on GPU ${gpu}: ${because}. Mend that, or choose --execution-provider cpu or auto`,
    );
  }
  return { provider: 'cuda' };
}

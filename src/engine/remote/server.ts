import type { Session } from '../../../export/runtime/session.js';
import { type Served, servedModels } from '../../protocols/oip/models.js';
import { createHost, type Host, type Open } from '../host.js';
import { pauseAfter } from '../pause.js';
import type { Batch, HostSettings, Outputs, RoundTrip } from '../protocol.js';
import { probeOf, SelfTestError } from '../self-test.js';
import { checkServer } from './check.js';
import { createClient, ServerError } from './client.js';

/** Milliseconds after which a server that was lost is asked again, at most. */
const LONGEST_PAUSE = 5000;
/** Seconds for a server to open a graph that nobody has asked it for. */
const OPENING = 300;

export interface ServerEvents {
  /** It is checked and takes batches. */
  up(): void;
  /** It is left alone for a while, for this reason. */
  down(error: Error): void;
  tested(model: string, found: RoundTrip): void;
}

/** A server that runs graphs; one that fails is left alone, for ever longer times, until it passes its checks again. */
export interface Server {
  readonly url: string;
  isUp(): boolean;
  /** @throws ServerError, after which the server is down unless its kind is rejected; SelfTestError */
  run(batch: Batch): Promise<Partial<Outputs>>;
  /** Resolves when it has come up; rejects when the first try fails. */
  readonly first: Promise<void>;
  close(): Promise<void>;
}

export interface ServerSettings extends HostSettings {
  readonly key: string;
  /** Seconds for a batch. */
  readonly seconds: number;
}

export function createServer(url: string, settings: ServerSettings, events: ServerEvents): Server {
  const { models, key, seconds } = settings;
  const client = createClient(url, key);
  const manifests = models.map(({ manifest }) => manifest);
  const served = servedModels(manifests);
  let up: Host | undefined;
  let failures = 0;
  let closed = false;
  let again: NodeJS.Timeout | undefined;

  const open: Open = async ({ manifest }, graph) => {
    const remote = [...served.values()].find((s) => s.model === manifest.name && s.graph === graph)!;
    await inferOn(remote, OPENING)(probeOf(manifest, graph));
    return { run: inferOn(remote, seconds), release: async () => undefined };
  };
  const inferOn =
    (remote: Served, patience: number): Session['run'] =>
    (feeds, fetch = remote.outputs.map(({ name }) => name)) =>
      client.infer(remote, feeds[remote.input.name]!, fetch, patience);

  const connect = async (): Promise<void> => {
    const host = createHost(settings, open, events);
    await checkServer(url, client, served.values(), manifests);
    await host.load();
    up = host;
    if (!closed) events.up();
  };
  const leave = (error: Error) => {
    up = undefined;
    if (closed) return;
    events.down(error);
    failures++;
    again = setTimeout(() => connect().catch(leave), pauseAfter(failures, LONGEST_PAUSE));
  };
  const first = connect();
  first.catch(leave);
  return {
    url,
    first,
    isUp: () => up !== undefined,
    async run(batch) {
      const host = up;
      if (!host) throw new ServerError('refused', `${url} is down`);
      try {
        const outputs = (await host.run(batch)) as Partial<Outputs>;
        // Only now: whoever passes the checks and fails at work is to be left alone ever longer as well.
        failures = 0;
        return outputs;
      } catch (error) {
        const itself = error instanceof SelfTestError || (error instanceof ServerError && error.kind === 'rejected');
        // Other batches that it held may have told already, and it may even be back.
        if (!itself && up === host) leave(error as Error);
        throw error;
      }
    },
    async close() {
      closed = true;
      clearTimeout(again);
      await client.close();
    },
  };
}

import { isDeepStrictEqual } from 'node:util';
import type { Manifest } from '../../../export/model/manifest.js';
import type { Tensors } from '../../../export/model/signature.js';
import type { Session } from '../../../export/runtime/session.js';
import { metadataOf, type Served, servedModels } from '../../protocols/oip/models.js';
import type { Batch, RoundTrip, ServedModels } from '../protocol.js';
import { backOff } from '../replica.js';
import { probeOf, SelfTestError } from '../self-test.js';
import { createSessionCache, type LoadGraph, type SessionCache } from '../sessions.js';
import { type Client, createClient, ServerError } from './client.js';

/** The longest pause before a server that failed is tried again, in milliseconds. */
const LONGEST_PAUSE = 5000;
/** Seconds that the first run of a graph may take: the server may have to load it. */
const LOADING = 300;

/** A server that runs graphs. After a failure it is left alone, for ever longer pauses, until it passes its checks again. */
export interface Server {
  isUp(): boolean;
  /** @throws ServerError, after which the server is down unless its kind is rejected; SelfTestError */
  run(batch: Batch): Promise<Partial<Tensors>>;
  /** Resolves when the server is up; rejects when the first try fails. */
  readonly first: Promise<void>;
  /** Registers a listener that is called whenever the server comes up. */
  onUp(listener: () => void): void;
  close(): Promise<void>;
}

export interface ServerSettings extends ServedModels {
  /** API key; empty where the server asks for none. */
  readonly key: string;
  /** Seconds for a batch. */
  readonly hangTimeout: number;
}

export interface ServerEvents {
  /** The server is left alone for a while, for this reason. */
  down(error: Error): void;
  /** A Φ⁻¹ passed its self-test on the server. */
  tested(model: string, found: RoundTrip): void;
}

export function connectServer(url: string, settings: ServerSettings, events: ServerEvents): Server {
  const { models, key, hangTimeout } = settings;
  const client = createClient(url, key);
  const manifests = models.map(({ manifest }) => manifest);
  const served = servedModels(manifests);
  const upListeners: (() => void)[] = [];
  // There while the server is up.
  let sessions: SessionCache | undefined;
  let failures = 0;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;

  const runOn =
    (remote: Served, seconds: number): Session['run'] =>
    (feeds, fetch = remote.outputs.map(({ name }) => name)) =>
      client.infer(remote, feeds[remote.input.name]!, fetch, seconds);
  const loadGraph: LoadGraph = async ({ manifest }, graph) => {
    const remote = [...served.values()].find((s) => s.model === manifest.name && s.graph === graph)!;
    await runOn(remote, LOADING)(probeOf(manifest, graph));
    return { run: runOn(remote, hangTimeout), release: async () => undefined };
  };
  const connect = async (): Promise<void> => {
    const fresh = createSessionCache(settings, loadGraph, events);
    await checkServer(url, client, served.values(), manifests);
    await fresh.load();
    if (closed) return;
    sessions = fresh;
    for (const listener of upListeners) listener();
  };
  const leave = (error: Error) => {
    sessions = undefined;
    if (closed) return;
    events.down(error);
    failures++;
    retry = setTimeout(() => connect().catch(leave), backOff(failures, LONGEST_PAUSE));
  };
  const first = connect();
  first.catch(leave);
  return {
    first,
    isUp: () => sessions !== undefined,
    async run(batch) {
      const current = sessions;
      if (!current) throw new ServerError('refused', `${url} is down`);
      try {
        const outputs = await current.run(batch);
        // Only now: a server that passes its checks but fails with every batch is left alone ever longer, too.
        failures = 0;
        return outputs as Partial<Tensors>;
      } catch (error) {
        const requestFailed =
          error instanceof SelfTestError || (error instanceof ServerError && error.kind === 'rejected');
        // Another batch that failed before may have had the server left alone already, and it may even be up again.
        if (!requestFailed && sessions === current) leave(error as Error);
        throw error;
      }
    },
    onUp: (listener) => void upListeners.push(listener),
    async close() {
      closed = true;
      clearTimeout(retry);
      await client.close();
    },
  };
}

interface DescribedTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (number | string)[];
}
interface Metadata {
  readonly inputs?: readonly DescribedTensor[];
  readonly outputs?: readonly DescribedTensor[];
}

/**
 * Checks that a server is ready and serves these graphs, with the tensors that the manifests describe. Another irevnet must
 * have the same weights, too.
 * @throws ServerError
 */
async function checkServer(
  url: string,
  client: Client,
  served: Iterable<Served>,
  manifests: readonly Manifest[],
): Promise<void> {
  await client.ready();
  for (const graph of served) checkMetadata(url, graph, (await client.get(`/v2/models/${graph.name}`)) as Metadata);
  const { name } = ((await client.get('/v2')) ?? {}) as { name?: unknown };
  if (name === 'irevnet') for (const manifest of manifests) await checkWeights(url, client, manifest);
}

function checkMetadata(url: string, served: Served, found: Metadata | undefined): void {
  if (!found) throw new ServerError('lost', `${url} has no model ${served.name}`);
  const { inputs, outputs } = metadataOf(served);
  const expected = { inputs: sorted(inputs), outputs: sorted(outputs) };
  const actual = { inputs: sorted(found.inputs ?? []), outputs: sorted(found.outputs ?? []) };
  if (isDeepStrictEqual(actual, expected)) return;
  const json = JSON.stringify;
  throw new ServerError('lost', `${url}: model ${served.name} has ${json(actual)}; expected ${json(expected)}`);
}

const sorted = (tensors: readonly DescribedTensor[]) =>
  tensors
    .map(({ name, datatype, shape }) => ({ name, datatype, shape: shape.map(Number) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

async function checkWeights(url: string, client: Client, { name, files }: Manifest): Promise<void> {
  const theirs = (await client.get(`/models/${name}`)) as Manifest | undefined;
  if (isDeepStrictEqual(theirs?.files, files)) return;
  throw new ServerError('lost', `${url}: model ${name} has other graphs or weights than the one here`);
}

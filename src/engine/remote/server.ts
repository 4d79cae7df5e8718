import { isDeepStrictEqual } from 'node:util';
import type { Manifest } from '../../../export/model/manifest.js';
import type { Tensors } from '../../../export/model/signature.js';
import type { Session } from '../../../export/runtime/session.js';
import type { Preload } from '../../common/config.js';
import { metadataOf, type Served, servedModels } from '../../protocols/oip/models.js';
import type { Catalog } from '../catalog.js';
import type { Batch, Edition, RoundTrip } from '../protocol.js';
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
  /** Uses a model beside the others, once the server passes the checks of it. @throws ServerError, SelfTestError */
  load(model: Edition): Promise<void>;
  /** @param id of the edition that is not used any more */
  unload(id: string): void;
  /** Resolves when the server is up; rejects when the first try fails. */
  readonly first: Promise<void>;
  /** Registers a listener that is called whenever the server comes up. */
  onUp(listener: () => void): void;
  close(): Promise<void>;
}

export interface ServerSettings {
  /** Its models are those that the server must serve whenever it comes up. */
  readonly catalog: Catalog;
  readonly preload: Preload;
  /** API key; empty where the server asks for none. */
  readonly key: string;
  /** Seconds for a batch. */
  readonly hangTimeout: number;
}

export interface ServerEvents {
  /** The server is left alone for a while, for this reason. */
  down(error: Error): void;
  /** A Φ⁻¹ passed its self-test on the server. */
  tested(model: Edition, found: RoundTrip): void;
}

export function connectServer(url: string, settings: ServerSettings, events: ServerEvents): Server {
  const { catalog, preload, key, hangTimeout } = settings;
  const client = createClient(url, key);
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
    const remote = [...servedModels([manifest]).values()].find((served) => served.graph === graph)!;
    await runOn(remote, LOADING)(probeOf(manifest, graph));
    return { run: runOn(remote, hangTimeout), release: async () => undefined };
  };
  const missing = (taken: ReadonlySet<string>) => catalog.editions().find(({ id }) => !taken.has(id));
  const take = async (into: SessionCache, model: Edition): Promise<void> => {
    await checkModel(url, client, model.manifest);
    await into.load(model);
  };
  const connect = async (): Promise<void> => {
    const fresh = createSessionCache(preload, loadGraph, events);
    await client.ready();
    const taken = new Set<string>();
    // Models may come and go meanwhile.
    for (let model = missing(taken); model; model = missing(taken)) {
      await take(fresh, model);
      taken.add(model.id);
    }
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
    async load(model) {
      if (sessions) await take(sessions, model);
    },
    unload: (id) => void sessions?.unload(id),
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
 * Checks that a server serves the graphs of a model, with the tensors that the manifest describes. Another irevnet must
 * have the same weights, too.
 * @throws ServerError
 */
async function checkModel(url: string, client: Client, manifest: Manifest): Promise<void> {
  for (const graph of servedModels([manifest]).values())
    checkMetadata(url, graph, (await client.get(`/v2/models/${graph.name}`)) as Metadata);
  const { name } = ((await client.get('/v2')) ?? {}) as { name?: unknown };
  if (name === 'irevnet') await checkWeights(url, client, manifest);
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

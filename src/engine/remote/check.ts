import { isDeepStrictEqual } from 'node:util';
import type { Manifest } from '../../../export/model/manifest.js';
import { metadataOf, type Served } from '../../protocols/oip/models.js';
import { type Client, ServerError } from './client.js';

interface Described {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (number | string)[];
}
interface Metadata {
  readonly inputs?: readonly Described[];
  readonly outputs?: readonly Described[];
}

/**
 * Checks that a server is ready and serves these graphs with the tensors that the manifests tell of; another irevnet also
 * with the same weights.
 * @throws ServerError
 */
export async function checkServer(
  url: string,
  client: Client,
  served: Iterable<Served>,
  manifests: readonly Manifest[],
): Promise<void> {
  // Triton answers without a body, others with JSON: the status is what counts.
  await client.get('/v2/health/ready').catch((error: unknown) => {
    if (!(error instanceof ServerError) || !/no JSON$/.test(error.message)) throw error;
  });
  for (const graph of served) checkMetadata(url, graph, (await client.get(`/v2/models/${graph.name}`)) as Metadata);
  const { name } = ((await client.get('/v2')) ?? {}) as { name?: unknown };
  if (name === 'irevnet') for (const manifest of manifests) await checkWeights(url, client, manifest);
}

function checkMetadata(url: string, served: Served, found: Metadata | undefined): void {
  if (!found) throw new ServerError('lost', `${url} has no model ${served.name}`);
  const { inputs, outputs } = metadataOf(served);
  const wanted = { inputs: sorted(inputs), outputs: sorted(outputs) };
  const there = { inputs: sorted(found.inputs ?? []), outputs: sorted(found.outputs ?? []) };
  if (isDeepStrictEqual(there, wanted)) return;
  const words = JSON.stringify;
  throw new ServerError('lost', `${url}: model ${served.name} has ${words(there)}; expected ${words(wanted)}`);
}

const sorted = (tensors: readonly Described[]) =>
  tensors
    .map(({ name, datatype, shape }) => ({ name, datatype, shape: shape.map(Number) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

async function checkWeights(url: string, client: Client, { name, files }: Manifest): Promise<void> {
  const theirs = (await client.get(`/models/${name}`)) as Manifest | undefined;
  if (isDeepStrictEqual(theirs?.files, files)) return;
  throw new ServerError('lost', `${url}: model ${name} has other graphs or weights than the one here`);
}

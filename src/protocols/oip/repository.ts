import { parseJson } from '../../../export/formats/json.js';
import type { Manifest } from '../../../export/model/manifest.js';
import { expect, expectOptional, malformed } from './expect.js';
import { servedModels, VERSION } from './models.js';
import type { IndexEntry } from './schemas.js';

// Triton's model repository extension:
// https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_model_repository.html

/** Whether a model of the models folder is served, and why not. */
interface State {
  readonly name: string;
  readonly state: 'ready' | 'loading' | 'unavailable';
  readonly reason: string;
}

/** The index: models that are served under each of their names, with Φ⁻¹ under its own; others under the name of their folder. */
export function indexOf(states: readonly State[], manifests: readonly Manifest[]): IndexEntry[] {
  const served = [...servedModels(manifests).values()];
  return states.flatMap(({ name, state, reason }): IndexEntry[] => {
    if (state !== 'ready') return [{ name, state: state === 'loading' ? 'LOADING' : 'UNAVAILABLE', reason }];
    const graphs = served.filter(({ model }) => model === name).reverse();
    return graphs.map((graph) => ({ name: graph.name, version: VERSION, state: 'READY', reason }));
  });
}

/** @returns whether only models that are ready are asked for @throws Problem inference-malformed */
export function readIndexRequest(body: unknown): boolean {
  const { ready } = objectIn(body);
  return expectOptional(ready, 'boolean', 'ready') ?? false;
}

/** Checks the body of a load or an unload, which need not have one. @throws Problem inference-malformed */
export function checkControlRequest(body: unknown): void {
  const parameters = expectOptional(objectIn(body).parameters, 'object', 'parameters') ?? {};
  for (const name of Object.keys(parameters)) {
    if (name !== 'config' && !name.startsWith('file:')) continue;
    throw malformed(`the parameter ${name.slice(0, 60)} is not supported: a model is loaded as its folder says`);
  }
}

function objectIn(body: unknown): Readonly<Record<string, unknown>> {
  if (!Buffer.isBuffer(body) || body.length === 0) return {};
  try {
    return expect(parseJson(body), 'object', 'the body');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw malformed(`the body cannot be read as JSON: ${error.message}`, { cause: error });
  }
}

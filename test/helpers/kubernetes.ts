import { diagnosticsOf } from './compiler.js';
import type { Manifest } from './kustomize.js';

/** The npm package with the types and validators of a group of kinds. Kinds of other groups are Kubernetes' own. */
const PACKAGES: readonly (readonly [group: RegExp, module: (kind: string) => string])[] = [
  [/^keda\.sh\//, (kind) => `@kubernetes-models/keda/${kind}`],
  [/^monitoring\.coreos\.com\//, (kind) => `@kubernetes-models/prometheus-operator/${kind}`],
];
const KSERVE = /^serving\.kserve\.io\//;

const moduleOf = ({ apiVersion, kind }: Manifest): string => {
  const name = `${apiVersion}/${kind}`;
  if (KSERVE.test(apiVersion)) return './kserve.js';
  return PACKAGES.find(([group]) => group.test(apiVersion))?.[1](name) ?? `kubernetes-models/${name}`;
};

const titleOf = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.name}`;

/**
 * The mistakes in objects. The TypeScript compiler finds unknown fields, which the packages' validators accept because
 * their schemas are open; the validators find wrong values.
 */
export async function mistakesIn(objects: readonly Manifest[]): Promise<string[]> {
  const invalid = await Promise.all(objects.map(invalidIn));
  return [...mistypedIn(objects), ...invalid.flat()];
}

/** Compiles objects as literals of their kinds' types: the compiler refuses unknown fields in literals. */
function mistypedIn(objects: readonly Manifest[]): string[] {
  const lines = objects.map(
    (object, i) =>
      `import type { I${object.kind} as T${i} } from '${moduleOf(object)}'; export const o${i}: T${i} = ${JSON.stringify(object)};`,
  );
  return diagnosticsOf(lines.join('\n'), 'test', 'helpers', 'manifests.generated.ts').map(
    ({ line, text }) => `${titleOf(objects[line]!)}: ${text}`,
  );
}

type Model = new (data: unknown) => { validate(): void };

async function invalidIn(object: Manifest): Promise<string[]> {
  const checked = KSERVE.test(object.apiVersion) ? podIn(object) : object;
  const models = (await import(moduleOf(checked))) as Record<string, Model>;
  const Kind = models[checked.kind]!;
  try {
    new Kind(checked).validate();
    return [];
  } catch (error) {
    return [`${titleOf(object)}: ${(error as Error).message}`];
  }
}

/** KServe's kinds have no validators, so the part of an object that is a pod's is validated as a pod. */
function podIn({ metadata, spec }: Manifest): Manifest {
  const { predictor = {}, ...own } = spec as { readonly predictor?: object };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [], ...own, ...predictor } };
}

import ts from 'typescript';
import { packagePath } from '../../export/files/package.js';
import type { Manifest } from './kustomize.js';

/** Where the types and validators of a group of kinds are; those of Kubernetes itself where none of these matches. */
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
 * What is wrong with objects: fields that there are not (which the validators of the packages let through, as they do not
 * close their schemas) by a check of types, and wrong values by the validators.
 */
export async function mistakesIn(objects: readonly Manifest[]): Promise<string[]> {
  const invalid = await Promise.all(objects.map(invalidIn));
  return [...mistypedIn(objects), ...invalid.flat()];
}

/** Objects as TypeScript has them: literals of their kinds' types, which may have no other fields. */
function mistypedIn(objects: readonly Manifest[]): string[] {
  const lines = objects.map(
    (object, i) =>
      `import type { I${object.kind} as T${i} } from '${moduleOf(object)}'; export const o${i}: T${i} = ${JSON.stringify(object)};`,
  );
  return diagnosticsOf(lines.join('\n')).map(({ line, text }) => `${titleOf(objects[line]!)}: ${text}`);
}

interface Diagnostic {
  readonly line: number;
  readonly text: string;
}

/** What the compiler says of a source that lies beside this one. */
function diagnosticsOf(source: string): Diagnostic[] {
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  };
  const name = packagePath('test', 'helpers', 'manifests.generated.ts');
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => path === name || fileExists(path);
  host.getSourceFile = (path, target, ...rest) =>
    path === name ? ts.createSourceFile(path, source, target) : getSourceFile(path, target, ...rest);
  const program = ts.createProgram([name], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => ({
    line: file && start !== undefined ? file.getLineAndCharacterOfPosition(start).line : 0,
    text: ts.flattenDiagnosticMessageText(messageText, ' '),
  }));
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

/** What KServe's objects hold of a pod. They have no validators of their own. */
function podIn({ metadata, spec }: Manifest): Manifest {
  const { predictor = {}, ...own } = spec as { readonly predictor?: object };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [], ...own, ...predictor } };
}

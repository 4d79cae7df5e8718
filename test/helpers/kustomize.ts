import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Type } from 'typebox';
import { Parse } from 'typebox/value';
import { parse, parseAllDocuments } from 'yaml';

/** An object of Kubernetes, as far as every kind is alike. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  readonly spec?: unknown;
}

/** What of kustomize is used here; anything else is refused. */
const Kustomization = Type.Object(
  {
    apiVersion: Type.String(),
    kind: Type.Enum(['Kustomization', 'Component']),
    namespace: Type.Optional(Type.String()),
    resources: Type.Optional(Type.Array(Type.String())),
    components: Type.Optional(Type.Array(Type.String())),
    patches: Type.Optional(
      Type.Array(
        Type.Object(
          {
            path: Type.String(),
            target: Type.Optional(
              Type.Object({ kind: Type.String(), name: Type.String() }, { additionalProperties: false }),
            ),
          },
          { additionalProperties: false },
        ),
      ),
    ),
    images: Type.Optional(
      Type.Array(Type.Object({ name: Type.String(), newTag: Type.String() }, { additionalProperties: false })),
    ),
  },
  { additionalProperties: false },
);

/** Elements of these lists of core kinds are merged by a field; other lists are replaced. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  env: 'name',
  volumes: 'name',
  volumeMounts: 'mountPath',
};
const isCore = ({ apiVersion }: Manifest): boolean => /^(?:[a-z]+\/|[a-z.]+\.k8s\.io\/)?v\d\w*$/.test(apiVersion);

/** Files that went into a rendering, besides the objects that came out. */
export interface Rendered {
  readonly objects: readonly Manifest[];
  readonly files: readonly string[];
}

/**
 * The objects that `kubectl kustomize` prints for a folder.
 * @throws Error when a kustomization uses what this does not know, or a patch has nothing to change
 */
export async function render(folder: string): Promise<Rendered> {
  const files: string[] = [];
  const objects = await build(folder, [], files);
  return { objects, files };
}

async function build(folder: string, before: readonly Manifest[], files: string[]): Promise<Manifest[]> {
  const at = (path: string): string => join(folder, path);
  const own = at('kustomization.yaml');
  const asked = Parse(Kustomization, parse(await text(own, files)));
  let objects = [...before];
  for (const path of (asked.resources ?? []).map(at)) {
    const isFolder = (await stat(path)).isDirectory();
    objects.push(...(isFolder ? await build(path, [], files) : await documents(path, files)));
  }
  for (const path of (asked.components ?? []).map(at)) objects = await build(path, objects, files);
  for (const { path, target } of asked.patches ?? []) {
    const [patch] = await documents(at(path), files);
    objects = patched(objects, patch!, target !== undefined);
  }
  for (const { name, newTag } of asked.images ?? []) objects = tagged(objects, name, newTag) as Manifest[];
  const { namespace } = asked;
  return namespace ? objects.map((o) => ({ ...o, metadata: { ...o.metadata, namespace } })) : objects;
}

async function text(path: string, files: string[]): Promise<string> {
  files.push(path);
  return readFile(path, 'utf8');
}

const documents = async (path: string, files: string[]): Promise<Manifest[]> =>
  parseAllDocuments(await text(path, files)).map((document) => {
    if (document.errors[0]) throw document.errors[0];
    return document.toJS() as Manifest;
  });

function patched(objects: readonly Manifest[], patch: Manifest, optional: boolean): Manifest[] {
  const isIt = (o: Manifest): boolean =>
    o.apiVersion === patch.apiVersion && o.kind === patch.kind && o.metadata.name === patch.metadata.name;
  if (!optional && !objects.some(isIt)) throw new Error(`there is no ${patch.kind} ${patch.metadata.name} to patch`);
  return objects.map((o) => (isIt(o) ? (merged(o, patch, isCore(o)) as Manifest) : o));
}

const isObject = (x: unknown): x is Record<string, unknown> => typeof x === 'object' && x !== null && !Array.isArray(x);

/** A strategic merge, or where the lists' keys are not known, a JSON merge. */
function merged(old: unknown, patch: unknown, core: boolean, field = ''): unknown {
  const key = core ? MERGE_KEYS[field] : undefined;
  if (key && Array.isArray(old) && Array.isArray(patch)) return mergedLists(old, patch, key);
  if (!isObject(old) || !isObject(patch)) return patch;
  const changed = Object.entries(patch).map(([k, v]) => [k, k in old ? merged(old[k], v, core, k) : v]);
  return { ...old, ...Object.fromEntries(changed) };
}

function mergedLists(old: Record<string, unknown>[], patch: Record<string, unknown>[], key: string): unknown[] {
  const found = (list: Record<string, unknown>[], name: unknown) => list.find((item) => item[key] === name);
  const changed = old.map((item) => merged(item, found(patch, item[key]) ?? {}, true));
  return [...patch.filter((item) => !found(old, item[key])), ...changed];
}

/** With the tag at each container of the image. */
function tagged(value: unknown, name: string, tag: string): unknown {
  if (Array.isArray(value)) return value.map((item) => tagged(item, name, tag));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([k, v]) => [
    k,
    k === 'image' && v === name ? `${name}:${tag}` : tagged(v, name, tag),
  ]);
  return Object.fromEntries(entries);
}

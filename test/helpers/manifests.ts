import { relative } from 'node:path';
import type { Test } from 'tap';
import { stringify } from 'yaml';
import { packagePath } from '../../export/files/package.js';
import { type Manifest, render } from './kustomize.js';
import { type Pod, podsOf } from './pods.js';

export const at = (...path: string[]): string => packagePath('docker', 'kubernetes', ...path);
export const FOLDERS = ['namespace', 'overlays/cpu', 'overlays/gpu', 'batch/encode', 'batch/merge', 'kserve'];
/** What the overlays leave to choose, in the order in which it is applied. */
export const CHOICES = ['monitoring', 'keda', 'api-keys', 'models-volume', 'tracing'];

/** An overlay with components that it lacks, as somebody's own overlay has them. */
export function extended(t: Test, overlay: string, components: readonly string[]): string {
  const folder = t.testdir({ 'kustomization.yaml': '' });
  const away = (...path: string[]): string => relative(folder, at(...path));
  const content = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace: 'irevnet',
    resources: [away('overlays', overlay)],
    components: components.map((name) => away('components', name)),
  };
  return t.testdir({ 'kustomization.yaml': stringify(content) });
}

export const objectsOf = async (folder: string): Promise<readonly Manifest[]> => (await render(at(folder))).objects;
export const everything = async (t: Test): Promise<readonly Manifest[]> => {
  const full = (await render(extended(t, 'cpu', CHOICES))).objects;
  return [...full, ...(await Promise.all(FOLDERS.map(objectsOf))).flat()];
};
export const podsOfAll = async (): Promise<Pod[]> => podsOf((await Promise.all(FOLDERS.map(objectsOf))).flat());

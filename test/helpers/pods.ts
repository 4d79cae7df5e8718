import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { IJob } from 'kubernetes-models/batch/v1/Job';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import type { IInferenceService, IServingRuntime } from './kserve.js';
import type { Manifest } from './kustomize.js';

/** A pod that comes of objects, with its one container. */
export interface Pod {
  readonly title: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: IPodSpec;
  readonly container: IContainer;
}

/** The first object of a kind, as its type. */
export const find = <T>(objects: readonly Manifest[], kind: string, name?: string): T | undefined =>
  objects.find((o) => o.kind === kind && (name === undefined || o.metadata.name === name)) as T | undefined;

/** Every pod of objects; of KServe's, the runtime's with what the service adds to it. */
export function podsOf(objects: readonly Manifest[]): Pod[] {
  return objects.flatMap((object): Pod[] => {
    const title = `${object.kind} ${object.metadata.name}`;
    if (object.kind === 'InferenceService') {
      const runtime = find<IServingRuntime>(objects, 'ServingRuntime');
      const { model, ...spec } = (object as unknown as IInferenceService).spec.predictor;
      return [
        podOf(title, {}, { ...runtime!.spec, ...spec, containers: [{ ...runtime!.spec.containers[0]!, ...model }] }),
      ];
    }
    if (object.kind !== 'Deployment' && object.kind !== 'Job') return [];
    const { metadata, spec } = (object as unknown as IDeployment | IJob).spec!.template;
    return [podOf(title, metadata!.labels!, spec!)];
  });
}

function podOf(title: string, labels: Record<string, string>, spec: IPodSpec): Pod {
  const [container, ...others] = [...(spec.initContainers ?? []), ...spec.containers];
  if (others.length > 0) throw new Error(`${title} has several containers`);
  return { title, labels, spec, container: container! };
}

/** The variables of a container; those that tell of its limits have that number. */
export function environmentOf({ env = [], resources }: IContainer): Record<string, string> {
  return Object.fromEntries(
    env.map(({ name, value, valueFrom }) => {
      const limit = /^limits\.(.*)$/.exec(valueFrom?.resourceFieldRef?.resource ?? '')?.[1];
      return [name, value ?? String(resources?.limits?.[limit!])];
    }),
  );
}

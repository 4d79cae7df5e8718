import type { IObjectMeta } from '@kubernetes-models/apimachinery/apis/meta/v1/ObjectMeta';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';

/** The kinds of KServe that are used here, by its API reference (0.16); what they hold of Kubernetes' own is Kubernetes'. */

type Protocol = 'v1' | 'v2' | 'grpc-v1' | 'grpc-v2';
type Labels = { readonly [name: string]: string };

/** Not a whole pod: no security context, service account or grace period, which are the InferenceService's. */
type RuntimePod = Pick<IPodSpec, 'affinity' | 'containers' | 'hostIPC' | 'imagePullSecrets' | 'nodeSelector'> &
  Pick<IPodSpec, 'tolerations' | 'volumes'>;

export interface IServingRuntime {
  apiVersion: 'serving.kserve.io/v1alpha1';
  kind: 'ServingRuntime';
  metadata: IObjectMeta;
  spec: RuntimePod & {
    labels?: Labels;
    annotations?: Labels;
    supportedModelFormats?: { name: string; version?: string; autoSelect?: boolean; priority?: number }[];
    protocolVersions?: Protocol[];
    multiModel?: boolean;
    disabled?: boolean;
  };
}

interface Model extends Omit<IContainer, 'name'> {
  modelFormat: { name: string; version?: string };
  name?: string;
  runtime?: string;
  runtimeVersion?: string;
  protocolVersion?: Protocol;
  storageUri?: string;
}

export interface IInferenceService {
  apiVersion: 'serving.kserve.io/v1beta1';
  kind: 'InferenceService';
  metadata: IObjectMeta;
  spec: {
    predictor: Omit<IPodSpec, 'containers'> & {
      model: Model;
      minReplicas?: number;
      maxReplicas?: number;
      scaleMetric?: 'cpu' | 'memory' | 'concurrency' | 'rps';
      scaleTarget?: number;
      containerConcurrency?: number;
      timeout?: number;
      canaryTrafficPercent?: number;
      labels?: Labels;
      annotations?: Labels;
    };
  };
}

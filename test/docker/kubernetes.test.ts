import { join } from 'node:path';
import type { IScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import type { IServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { IHorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import type { IJob } from 'kubernetes-models/batch/v1/Job';
import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import type { INamespace } from 'kubernetes-models/v1/Namespace';
import type { IService } from 'kubernetes-models/v1/Service';
import t from 'tap';
import { readConfig, settings, variableOf } from '../../src/common/config.js';
import { exitCodes } from '../../src/common/exit-codes.js';
import { declared } from '../../src/observe/declared.js';
import { randomModels, service } from '../helpers/app.js';
import type { IInferenceService, IServingRuntime } from '../helpers/kserve.js';
import { render } from '../helpers/kustomize.js';
import { everything, extended, objectsOf, podsOfAll } from '../helpers/manifests.js';
import { miniature } from '../helpers/networks.js';
import { environmentOf, find, type Pod, podsOf } from '../helpers/pods.js';

t.test('pods follow the Pod Security Standard "restricted"', async (t) => {
  const pods = await podsOfAll();
  t.equal(pods.length, 5);
  for (const { title, spec, container } of pods) {
    const { hostNetwork, hostPID, hostIPC, volumes = [] } = spec;
    t.same([hostNetwork, hostPID, hostIPC], [undefined, undefined, undefined], title);
    t.match(spec.securityContext, { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } });
    const own = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } };
    t.match(container.securityContext, own, title);
    t.match(spec, { automountServiceAccountToken: false, enableServiceLinks: false }, title);
    const kinds = volumes.map(({ name, ...source }) => Object.keys(source)[0]);
    t.same(
      kinds.filter((kind) => !['emptyDir', 'persistentVolumeClaim', 'secret'].includes(kind!)),
      [],
      title,
    );
    t.match(volumes, [{ name: 'tmp', emptyDir: { medium: 'Memory', sizeLimit: /\d/ } }].slice(volumes.length - 1));
    t.ok(
      container.volumeMounts!.some(({ name, mountPath }) => name === 'tmp' && mountPath === '/tmp'),
      title,
    );
    const { requests, limits } = container.resources!;
    for (const resource of ['cpu', 'memory']) t.ok(requests![resource] && limits![resource], `${title}: ${resource}`);
  }
  const runtime = find<IServingRuntime>(await objectsOf('kserve'), 'ServingRuntime')!;
  t.match(runtime.spec.containers[0]!.securityContext, {
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  });
  const namespace = find<INamespace>(await objectsOf('namespace'), 'Namespace')!;
  t.match(namespace.metadata!.labels, { 'pod-security.kubernetes.io/enforce': 'restricted' });
});

t.test('environment variables are settings of the service, with values in their ranges', async (t) => {
  const known = settings.map(variableOf);
  for (const { title, container } of [...(await podsOfAll()), ...podsOf(await everything(t))]) {
    const environment = environmentOf(container);
    const unknown = Object.keys(environment).filter((name) => name.startsWith('IREVNET_') && !known.includes(name));
    t.same(unknown, [], title);
    t.doesNotThrow(() => readConfig({}, environment), title);
  }
});

t.test('servers listen on the declared port and answer the probes', async (t) => {
  const models = await randomModels(t, { miniature: { config: miniature.irevnet } });
  const { app } = await service(t, { models, model: 'miniature' });
  const servers = (await podsOfAll()).filter(({ container }) => container.args![0] === 'serve');
  t.equal(servers.length, 3);
  for (const { title, container } of servers) {
    const { host, port } = readConfig({}, environmentOf(container));
    t.equal(host, '0.0.0.0', title);
    const [declaredPort, ...others] = container.ports!;
    t.match(declaredPort, { containerPort: port }, title);
    t.same(others, []);
    for (const probe of [container.startupProbe!, container.readinessProbe!, container.livenessProbe!]) {
      t.ok([declaredPort!.name, port].includes(probe.httpGet!.port), title);
      t.equal((await app.inject(probe.httpGet!.path!)).statusCode, 200, `${title}: ${probe.httpGet!.path}`);
    }
    const { startupProbe, livenessProbe } = container;
    t.ok(startupProbe!.periodSeconds! * startupProbe!.failureThreshold! >= 300, 'large models have time to load');
    t.match(livenessProbe!.httpGet!.path, /health|live/);
  }
});

t.test('pods are not killed before they have drained', async (t) => {
  for (const { title, spec, container } of await podsOfAll()) {
    if (container.args![0] !== 'serve') continue;
    const { grace, timeout } = readConfig({}, environmentOf(container));
    t.ok(grace >= 5, `${title}: proxies have time to stop sending requests`);
    // The service closes a connection whose client does not read the reply after twice the timeout.
    t.ok(spec.terminationGracePeriodSeconds! > grace + 2 * timeout, title);
  }
});

t.test('workers times threads is the number of CPUs', async (t) => {
  for (const folder of ['overlays/cpu', 'batch/encode', 'kserve']) {
    const [pod] = podsOf(await objectsOf(folder));
    const { workers, threads } = readConfig({}, environmentOf(pod!.container));
    t.equal(workers * threads, Number(pod!.container.resources!.limits!.cpu), folder);
  }
});

t.test('pods of the CUDA image request a GPU and compute on it, others do not', async (t) => {
  for (const pod of await podsOfAll()) {
    const { image, resources } = pod.container;
    const { IREVNET_EXECUTION_PROVIDER: provider } = environmentOf(pod.container);
    t.ok(['irevnet:cpu', 'irevnet:cuda'].includes(image!), pod.title);
    const expected = image === 'irevnet:cuda' ? ['1', 'cuda'] : [undefined, undefined];
    t.same([resources!.limits!['nvidia.com/gpu'], provider], expected, pod.title);
  }
  const { spec } = find<IDeployment>(await objectsOf('overlays/gpu'), 'Deployment')!;
  t.match(spec!.strategy, { rollingUpdate: { maxSurge: 0 } });
  t.match(spec!.template.spec!.tolerations, [{ key: 'nvidia.com/gpu', operator: 'Exists' }]);
});

t.test('every selector matches the pods of the Deployment', async (t) => {
  const objects = await everything(t);
  const { metadata, spec } = find<IDeployment>(objects, 'Deployment')!;
  const labels = spec!.template.metadata!.labels!;
  const service = find<IService>(objects, 'Service')!;
  const policies = objects.filter(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name !== 'deny-all');
  const constraints = spec!.template.spec!.topologySpreadConstraints!;
  const selectors = [
    service.spec!.selector,
    spec!.selector.matchLabels,
    find<IPodDisruptionBudget>(objects, 'PodDisruptionBudget')!.spec!.selector!.matchLabels,
    ...policies.map((policy) => (policy as INetworkPolicy).spec!.podSelector!.matchLabels),
    ...constraints.map(({ labelSelector }) => labelSelector!.matchLabels),
  ];
  t.ok(policies.length >= 3);
  for (const selector of selectors) t.strictSame({ ...labels, ...selector }, labels);
  for (const selector of selectors) t.ok(Object.keys(selector!).length > 0);
  const [job] = podsOf(await objectsOf('batch/encode'));
  t.notMatch(job!.labels, service.spec!.selector!, 'the Service does not send requests to jobs');
  const target = { apiVersion: 'apps/v1', kind: 'Deployment', name: metadata!.name };
  t.strictSame(find<IHorizontalPodAutoscaler>(objects, 'HorizontalPodAutoscaler')!.spec!.scaleTargetRef, target);
  t.strictSame(find<IScaledObject>(objects, 'ScaledObject')!.spec.scaleTargetRef, target);
  t.equal(spec!.replicas, undefined, 'the autoscaler sets the number of replicas');
});

t.test('ports agree', async (t) => {
  const objects = await everything(t);
  const [{ containerPort, name }] = podsOf(objects)[0]!.container.ports! as [{ containerPort: number; name: string }];
  const [port] = find<IService>(objects, 'Service')!.spec!.ports!;
  t.equal(port!.targetPort, name);
  t.equal(find<IServiceMonitor>(objects, 'ServiceMonitor')!.spec.endpoints[0]!.port, port!.name);
  for (const policy of objects.filter(({ kind }) => kind === 'NetworkPolicy') as unknown as INetworkPolicy[]) {
    for (const { ports } of policy.spec!.ingress ?? []) t.same(ports, [{ port: containerPort, protocol: 'TCP' }]);
  }
});

t.test('KEDA scales on series that the service exposes and Prometheus scrapes', async (t) => {
  const objects = await everything(t);
  const { triggers, minReplicaCount } = find<IScaledObject>(objects, 'ScaledObject')!.spec;
  const { metadata } = find<IServiceMonitor>(objects, 'ServiceMonitor')!;
  const { name, namespace } = find<IService>(objects, 'Service')!.metadata!;
  t.same(
    triggers.map(({ metadata }) => /irevnet_\w+/.exec(metadata.query!)?.[0]),
    ['irevnet_queue_images', 'irevnet_in_flight_images'],
  );
  for (const { type, metadata } of triggers) {
    t.equal(type, 'prometheus');
    t.ok(Object.keys(declared).includes(/irevnet_\w+/.exec(metadata.query!)![0]), metadata.query!);
    t.match(metadata.query, `{job="${name}", namespace="${namespace}"}`);
    t.ok(Number(metadata.threshold) < readConfig({}, {}).maxQueue, 'pods are added before the queue is full');
  }
  t.equal(metadata!.namespace, namespace);
  t.ok(minReplicaCount! >= 2, 'a second replica serves while one restarts');
});

t.test('with API keys Prometheus sends one, and the keys file is mounted where the setting says', async (t) => {
  const { objects } = await render(extended(t, 'cpu', ['monitoring', 'api-keys']));
  const [{ spec, container }] = podsOf(objects) as [Pod];
  const { apiKeysFile } = readConfig({}, environmentOf(container));
  const { secret, name } = spec.volumes!.find(({ secret }) => secret)!;
  const { mountPath } = container.volumeMounts!.find((mount) => mount.name === name)!;
  t.equal(apiKeysFile, join(mountPath, secret!.items![0]!.path));
  const [endpoint] = find<IServiceMonitor>(objects, 'ServiceMonitor')!.spec.endpoints;
  t.match(endpoint, { port: 'http', path: '/metrics', authorization: { credentials: { name: secret!.secretName } } });
});

t.test('the service reads models from the mounted volume', async (t) => {
  const { objects } = await render(extended(t, 'cpu', ['models-volume']));
  const [{ container }] = podsOf(objects) as [Pod];
  const { mountPath } = container.volumeMounts!.find(({ name }) => name === 'models')!;
  t.equal(readConfig({}, environmentOf(container)).models, mountPath);
});

t.test('the InferenceService refers to the runtime, its protocol and its models folder', async (t) => {
  const objects = await objectsOf('kserve');
  const { metadata, spec } = find<IServingRuntime>(objects, 'ServingRuntime')!;
  const { model } = find<IInferenceService>(objects, 'InferenceService')!.spec.predictor;
  t.equal(model.runtime, metadata.name);
  t.ok(spec.supportedModelFormats!.some(({ name }) => name === model.modelFormat.name));
  t.ok(spec.protocolVersions!.includes(model.protocolVersion!));
  t.equal(spec.containers[0]!.name, 'kserve-container');
  t.equal(readConfig({}, environmentOf(spec.containers[0]!)).models, '/mnt/models');
});

t.test('each index of the job computes one shard and is retried alone', async (t) => {
  const { spec } = find<IJob>(await objectsOf('batch/encode'), 'Job')!;
  const { args } = spec!.template.spec!.containers[0]!;
  t.equal(args![args!.indexOf('--shard') + 1], `$(JOB_COMPLETION_INDEX)/${spec!.completions}`);
  t.match(spec, { completionMode: 'Indexed', backoffLimitPerIndex: 3 });
  // backoffLimitPerIndex and podFailurePolicy both require it.
  t.equal(spec!.template.spec!.restartPolicy, 'Never');
  const common = ['usage', 'models-missing', 'model-damaged', 'not-writable', 'not-permitted'] as const;
  t.strictSame(reactionsOf(spec!), {
    Ignore: undefined,
    FailJob: common.map((reason) => exitCodes[reason]),
    FailIndex: [exitCodes['images-skipped']],
  });
});

/** The exit codes for which a job takes each action. */
const reactionsOf = ({ podFailurePolicy }: NonNullable<IJob['spec']>) =>
  Object.fromEntries(podFailurePolicy!.rules.map(({ action, onExitCodes }) => [action, onExitCodes?.values]));

t.test('the merge reads what the shards wrote, and is not retried after permanent failures', async (t) => {
  const merge = find<IJob>(await objectsOf('batch/merge'), 'Job')!.spec!;
  const encode = find<IJob>(await objectsOf('batch/encode'), 'Job')!.spec!;
  const [output, merged] = [encode, merge].map(({ template }) => template.spec!.containers[0]!.args!);
  t.equal(merged!.at(-1), output![output!.indexOf('--output') + 1]);
  t.strictSame(encode.template.spec!.volumes, merge.template.spec!.volumes);
  const permanent = (['usage', 'not-writable', 'images-skipped'] as const).map((reason) => exitCodes[reason]);
  t.strictSame(reactionsOf(merge), { Ignore: undefined, FailJob: permanent });
});

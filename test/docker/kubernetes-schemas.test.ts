import { spawnSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { mistakesIn } from '../helpers/kubernetes.js';
import { type Manifest, render } from '../helpers/kustomize.js';
import { at, CHOICES, everything, extended, FOLDERS } from '../helpers/manifests.js';
import { find } from '../helpers/pods.js';

const sorted = (objects: readonly Manifest[]): Manifest[] =>
  [...objects].sort((a, b) => (`${a.kind} ${a.metadata.name}` < `${b.kind} ${b.metadata.name}` ? -1 : 1));

const kubectl = (...args: string[]) => spawnSync('kubectl', args, { encoding: 'utf8' });

t.test('every file is part of something', async (t) => {
  const rendered = await Promise.all([...FOLDERS.map((folder) => at(folder)), extended(t, 'cpu', CHOICES)].map(render));
  const used = new Set(rendered.flatMap(({ files }) => files));
  const there = await readdir(at(), { recursive: true });
  const unused = there.filter((path) => path.endsWith('.yaml') && !used.has(at(path)));
  t.same(unused, []);
});

const without = kubectl('version', '--client').status === 0 ? false : 'kubectl is not installed';
t.test('folders are rendered as kubectl renders them', { skip: without }, async (t) => {
  for (const folder of [...FOLDERS.map((name) => at(name)), extended(t, 'gpu', CHOICES.slice(2))]) {
    const { stdout, stderr } = kubectl('kustomize', folder);
    const said = parseAllDocuments(stdout).map((document) => document.toJS() as Manifest);
    t.strictSame(sorted((await render(folder)).objects), sorted(said), `${folder} ${stderr}`);
  }
});

t.test('Kubernetes, KEDA, the Prometheus operator and KServe know every field', async (t) => {
  t.same(await mistakesIn(await everything(t)), []);
});

t.test('a field that there is not, or a wrong value, is found', async (t) => {
  const objects = await everything(t);
  const broken = ([kind, from, to]: readonly string[], i: number): Manifest => {
    const object = find<Manifest>(objects, kind!)!;
    const text = JSON.stringify({ ...object, metadata: { ...object.metadata, name: `broken-${i}` } });
    t.ok(text.includes(from!), `${kind} has ${from}`);
    return JSON.parse(text.replace(from!, to!));
  };
  const wrong = [
    ['Deployment', '"failureThreshold"', '"failureTreshold"'],
    ['Deployment', '"readOnlyRootFilesystem":true', '"readOnlyRootFilesystem":"yes"'],
    ['Deployment', '"memory":"1Gi"', '"memory":"1 GB"'],
    ['Job', '"backoffLimitPerIndex"', '"backOffLimitPerIndex"'],
    ['NetworkPolicy', '"policyTypes"', '"policies"'],
    ['ScaledObject', '"pollingInterval"', '"pollInterval"'],
    ['ServiceMonitor', '"scrapeTimeout"', '"timeout"'],
    ['ServiceMonitor', '"interval":"15s"', '"interval":"15 seconds"'],
    ['ServingRuntime', '"protocolVersions"', '"protocols"'],
    ['ServingRuntime', '"memory":"1Gi"', '"memory":"1 GB"'],
    ['ServingRuntime', '"containerPort"', '"port"'],
    ['InferenceService', '"storageUri"', '"storageURI"'],
    ['InferenceService', '"runAsUser":1000', '"runAsUser":"node"'],
  ];
  const found = await mistakesIn(wrong.map(broken));
  for (const [i, [kind, , to]] of wrong.entries()) {
    const own = found.filter((message) => message.startsWith(`${kind} broken-${i}: `));
    t.ok(own.length > 0, `${kind}: ${to}: ${own}`);
  }
});

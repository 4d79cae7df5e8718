import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { mistakesIn } from '../helpers/kubernetes.js';
import { type Manifest, render } from '../helpers/kustomize.js';
import { at, CHOICES, everything, extended, FOLDERS } from '../helpers/manifests.js';
import { find } from '../helpers/pods.js';

const sorted = (objects: readonly Manifest[]): Manifest[] =>
  [...objects].sort((a, b) => (`${a.kind} ${a.metadata.name}` < `${b.kind} ${b.metadata.name}` ? -1 : 1));

const execute = promisify(execFile);
const kubectl = async (...args: string[]): Promise<string> => (await execute('kubectl', args)).stdout;

t.test('every file is used by a folder that is rendered', async (t) => {
  const rendered = await Promise.all([...FOLDERS.map((folder) => at(folder)), extended(t, 'cpu', CHOICES)].map(render));
  const used = new Set(rendered.flatMap(({ files }) => files));
  const there = await readdir(at(), { recursive: true });
  const unused = there.filter((path) => path.endsWith('.yaml') && !used.has(at(path)));
  t.same(unused, []);
});

const skip = await kubectl('version', '--client').then(
  () => false,
  () => 'kubectl is not installed',
);
t.test('folders are rendered as kubectl renders them', { skip }, async (t) => {
  const folders = [...FOLDERS.map((name) => at(name)), extended(t, 'gpu', CHOICES.slice(2))];
  const check = async (folder: string): Promise<void> => {
    const documents = parseAllDocuments(await kubectl('kustomize', folder));
    const expected = documents.map((document) => document.toJS() as Manifest);
    t.strictSame(sorted((await render(folder)).objects), sorted(expected), folder);
  };
  await Promise.all(folders.map(check));
});

t.test(
  'every field is known to Kubernetes, KEDA, the Prometheus operator or KServe, and has a valid value',
  async (t) => {
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
    // One compilation for the objects as they are and for those with a mistake each.
    const found = await mistakesIn([...objects, ...wrong.map(broken)]);
    t.same(
      found.filter((message) => !/^\w+ broken-\d+: /.test(message)),
      [],
    );
    for (const [i, [kind, , to]] of wrong.entries()) {
      const own = found.filter((message) => message.startsWith(`${kind} broken-${i}: `));
      t.ok(own.length > 0, `${kind}: ${to}: ${own}`);
    }
  },
);

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, posix } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { environment } from '../../bench/server.js';
import { packagePath } from '../../export/files/package.js';
import { settings, variableOf } from '../../src/common/config.js';

interface Stage {
  readonly name: string;
  readonly base: string;
  readonly instructions: readonly (readonly [keyword: string, rest: string])[];
}

const read = (...path: string[]): Promise<string> => readFile(packagePath(...path), 'utf8');

/** The stages of a Dockerfile; continued lines are joined. */
function stagesOf(text: string): Stage[] {
  const lines = text
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter(Boolean);
  const stages: (Stage & { instructions: [string, string][] })[] = [];
  for (const line of lines) {
    const [, keyword, rest] = /^(\w+)\s+(.*)$/.exec(line) as unknown as [string, string, string];
    const [, base, name] = keyword === 'FROM' ? (/^(\S+) AS (\S+)$/.exec(rest) ?? []) : [];
    if (base && name) stages.push({ name, base, instructions: [] });
    else stages.at(-1)?.instructions.push([keyword, rest]);
  }
  return stages;
}

/** The names and values that ENV or LABEL sets in a stage. */
function pairsOf({ instructions }: Stage, wanted: string): Map<string, string> {
  const pairs = instructions
    .filter(([keyword]) => keyword === wanted)
    .flatMap(([, rest]) => [...rest.matchAll(/(\S+?)=("[^"]*"|\S+)/g)]);
  return new Map(pairs.map(([, name, value]) => [name!, value!.replaceAll('"', '')]));
}

async function dockerfile() {
  const text = await read('docker', 'Dockerfile');
  const stages = new Map(stagesOf(text).map((stage) => [stage.name, stage]));
  const defaults = new Map([...text.matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm)].map(([, name, value]) => [name!, value!]));
  return { text, stages, defaults, cpu: stages.get('cpu')!, cuda: stages.get('cuda')! };
}

interface Service {
  readonly image: string;
  readonly profiles: readonly string[];
  readonly build?: { readonly context: string; readonly dockerfile: string; readonly target: string };
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly volumes?: readonly string[];
  readonly ports: readonly string[];
  readonly command?: readonly string[];
  readonly networks?: { readonly default: { readonly aliases: readonly string[] } };
  readonly read_only?: boolean;
  readonly user?: string;
  readonly deploy?: unknown;
}

async function compose() {
  const text = await read('docker', 'compose.yaml');
  const { services, volumes } = parse(text, { merge: true }) as {
    services: Record<string, Service>;
    volumes: Record<string, unknown>;
  };
  return { text, services, volumes };
}

const require = createRequire(import.meta.url);
const { engines, dependencies } = require(packagePath('package.json')) as {
  engines: { node: string };
  dependencies: Record<string, string>;
};

t.test('every IREVNET_ variable is a setting of the service', async (t) => {
  const known = new Set(settings.map(variableOf));
  const { cpu, cuda } = await dockerfile();
  const texts = [await read('docker', 'Dockerfile'), (await compose()).text, await read('docker', 'README.md')];
  for (const name of texts.flatMap((text) => text.match(/\bIREVNET_\w+/g) ?? [])) t.ok(known.has(name), name);
  t.equal(pairsOf(cpu, 'ENV').get('IREVNET_EXECUTION_PROVIDER'), undefined);
  t.equal(pairsOf(cuda, 'ENV').get('IREVNET_EXECUTION_PROVIDER'), 'cuda');
});

t.test('the targets cpu and cuda differ only in what CUDA needs', async (t) => {
  const { cpu, cuda } = await dockerfile();
  for (const keyword of ['ENTRYPOINT', 'CMD', 'USER', 'WORKDIR', 'EXPOSE', 'ARG']) {
    const of = ({ instructions }: Stage) => instructions.filter(([name]) => name === keyword);
    t.same(of(cuda), of(cpu), keyword);
    t.not(of(cpu).length, 0, keyword);
  }
  t.same([...pairsOf(cuda, 'LABEL').keys()], [...pairsOf(cpu, 'LABEL').keys()]);
  for (const [name, value] of pairsOf(cpu, 'ENV')) t.equal(pairsOf(cuda, 'ENV').get(name), value, name);
  t.match(Object.fromEntries(pairsOf(cpu, 'ENV')), { ORT_DISABLE_TELEMETRY: '1', NVIDIA_TF32_OVERRIDE: '0' });
  t.match(Object.fromEntries(pairsOf(cpu, 'ENV')), environment, 'the benchmarks use the environment of the container');
  for (const { instructions } of [cpu, cuda]) {
    const [[, check] = []] = instructions.filter(([keyword]) => keyword === 'HEALTHCHECK');
    t.match(check, 'CMD ["node", "/app/dist/src/cli/main.js", "health"]');
  }
});

t.test('every copied path exists and is part of the build context', async (t) => {
  const { stages } = await dockerfile();
  const admitted = (await read('.dockerignore'))
    .split('\n')
    .flatMap((line) => (line.startsWith('!') ? line.slice(1) : []));
  const copies = [...stages.values()]
    .flatMap(({ instructions }) => instructions)
    .filter(([keyword, rest]) => keyword === 'COPY' && !rest.startsWith('--from'))
    .flatMap(([, rest]) => rest.split(/\s+/).slice(0, -1));
  const lies = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);
  const left = copies.filter((path) => !admitted.some((folder) => lies(path, folder)));
  t.same(left, [], 'the build context has every path');
  const unused = admitted.filter((folder) => !copies.includes(folder));
  t.same(unused, [], 'the build context has no other path');
  for (const path of copies) t.ok(existsSync(packagePath(path)), path);
});

t.test(
  'the CUDA provider has the version of the pinned runtime and lies in the folder that the runtime loads from',
  async (t) => {
    const { stages } = await dockerfile();
    const home = dirname(require.resolve('onnxruntime-node/package.json'));
    const { version } = require('onnxruntime-node/package.json') as { version: string };
    const { nuget } = require(`${home}/script/install-metadata-versions.js`) as { nuget: { version: string }[] };
    t.equal(version, dependencies['onnxruntime-node']);
    t.same(
      nuget.map((one) => one.version),
      [version],
    );
    const copied = JSON.stringify([...stages.values()].map(({ instructions }) => instructions));
    const folders = new Set(copied.match(/onnxruntime-node\/bin\/[\w/-]+?(?=\/(?:lib|"))/g));
    t.same([...folders], ['onnxruntime-node/bin/napi-v6/linux/x64']);
    t.ok(existsSync(`${home}/bin/napi-v6/linux/x64/onnxruntime_binding.node`));
  },
);

t.test('the image has the newest Node line that the package supports, and CUDA 13', async (t) => {
  const { defaults } = await dockerfile();
  const [, major] = /node:(\d+)-/.exec(defaults.get('NODE_IMAGE')!)!;
  const [, least, next] = /^>=(\d+)\.\d+ <(\d+)$/.exec(engines.node)!;
  t.equal(Number(major), Number(next) - 1);
  t.ok(Number(major) > Number(least));
  t.match(defaults.get('CUDA_IMAGE'), /:13\.[\d.]+-cudnn-runtime-/, 'CUDA 13 with cuDNN');
});

t.test('compose.yaml refers to build targets, files and volumes that exist', async (t) => {
  const { services, volumes } = await compose();
  const { stages } = await dockerfile();
  for (const [name, { build, volumes: mounts = [] }] of Object.entries(services)) {
    if (build)
      t.ok(stages.has(build.target) && existsSync(packagePath('docker', build.context, build.dockerfile)), name);
    for (const source of mounts.map((mount) => mount.split(':')[0]!)) {
      t.ok(source.startsWith('./') ? existsSync(packagePath('docker', source)) : source in volumes, source);
    }
  }
  const confined = { read_only: true, user: '1000:1000', cap_drop: ['ALL'] };
  t.match(services, { irevnet: confined, 'irevnet-cpu': confined });
  const device = { driver: 'nvidia', capabilities: ['gpu'] };
  t.match(services.irevnet, { profiles: ['gpu'], deploy: { resources: { reservations: { devices: [device] } } } });
  t.match(services['irevnet-cpu'], { profiles: ['cpu'], build: { target: 'cpu' }, deploy: undefined });
});

t.test('Prometheus finds the service, and Grafana finds Prometheus and the dashboard', async (t) => {
  const { services } = await compose();
  const { cpu } = await dockerfile();
  const { prometheus, grafana } = services as { prometheus: Service; grafana: Service };
  const scraped = `irevnet:${pairsOf(cpu, 'ENV').get('IREVNET_PORT')}`;
  t.match(await read('docker', 'prometheus', 'prometheus.yaml'), `targets: ['${scraped}']`);
  for (const name of ['irevnet', 'irevnet-cpu']) t.same(services[name]?.networks?.default.aliases, ['irevnet']);

  const mounted = (service: Service, path: string) =>
    service.volumes?.some((mount) => path.startsWith(mount.split(':')[1]!));
  const [, config] = /--config\.file=(\S+)/.exec(prometheus.command!.join(' '))!;
  t.ok(mounted(prometheus, config!));
  t.ok(existsSync(packagePath('docker', 'prometheus', posix.basename(config!))));

  const folder = ['docker', 'grafana', 'provisioning'];
  const { datasources } = parse(await read(...folder, 'datasources', 'prometheus.yaml'));
  const [, port] = /:(\d+)'?$/.exec(prometheus.ports[0]!)!;
  t.match(datasources, [{ type: 'prometheus', url: `http://prometheus:${port}` }]);
  const { providers } = parse(await read(...folder, 'dashboards', 'irevnet.yaml'));
  const [{ options }] = providers as [{ options: { path: string } }];
  t.ok(grafana.volumes?.includes(`./grafana/irevnet.json:${options.path}/irevnet.json:ro`));
  t.ok(mounted(grafana, '/etc/grafana/provisioning/datasources'));
});

t.test('cuda-libraries.sh fails where the CUDA provider is missing', async (t) => {
  const folder = t.testdir({ docker: { 'cuda-libraries.sh': await read('docker', 'cuda-libraries.sh') } });
  const { status, stderr } = spawnSync('sh', ['docker/cuda-libraries.sh'], { cwd: folder, encoding: 'utf8' });
  t.equal(status, 1);
  t.match(stderr, 'libonnxruntime_providers_cuda.so is not in');
});

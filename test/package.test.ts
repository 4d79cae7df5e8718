import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { packagePath } from '../export/files/package.js';
import { dataPath } from './helpers/networks.js';

const execute = promisify(execFile);

interface Package {
  readonly bin: { readonly irevnet: string };
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
}

// npm would install the packed file as this does: the package unpacked into node_modules, its dependencies beside it.
// They are links, so that the test is quick and needs no network; development dependencies are left out.
const folder = await mkdtemp(join(tmpdir(), 'irevnet-'));
t.teardown(() => rm(folder, { recursive: true }));
const modules = join(folder, 'node_modules');
const installed = join(modules, 'irevnet');
await mkdir(installed, { recursive: true });
const { stdout } = await execute('npm', ['pack', '--json', '--pack-destination', folder], { cwd: packagePath() });
const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
await execute('tar', ['-xzf', filename, '-C', installed, '--strip-components', '1'], { cwd: folder });
const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as Package;
for (const name of Object.keys(manifest.dependencies)) {
  await mkdir(dirname(join(modules, name)), { recursive: true });
  await symlink(packagePath('node_modules', name), join(modules, name));
}
const node = async (...args: string[]): Promise<string> =>
  (await execute(process.execPath, args, { cwd: folder })).stdout;

t.test('the package holds code, types, the shipped model and openapi.yaml, and nothing of development', async (t) => {
  const paths = files.map(({ path }) => path);
  const kinds =
    /^(dist\/(export|src)\/.*\.(js|d\.ts)|dist\/web\/(assets\/)?[^/]+|onnx\/[^/]+\/[^/]+|export\/train\/recipes\/[^/]+\.json|openapi\.yaml|package\.json|README\.md|LICENSE)$/;
  t.same(
    paths.filter((path) => !kinds.test(path)),
    [],
  );
  for (const entry of Object.values(manifest.exports)) {
    for (const path of typeof entry === 'string' ? [entry] : Object.values(entry))
      await t.resolves(access(join(installed, path)), path);
  }
});

t.test('the irevnet command classifies a picture with the shipped model', async (t) => {
  const command = join(installed, manifest.bin.irevnet);
  t.match(await readFile(command, 'utf8'), /^#!\/usr\/bin\/env node\n/);
  t.match(await node(command, 'classify', dataPath('images', 'bag.png')), /Bag/);
});

t.test('irevnet/graph builds a graph, and irevnet/client connects', async (t) => {
  const code = `
    import { connect } from 'irevnet/client';
    import { emit, input, relu } from 'irevnet/graph';
    const x = input('x', 'float32', ['N', 3]);
    console.log(typeof emit, relu(x).type.shape, Object.keys(connect('http://127.0.0.1')));`;
  t.match(await node('--input-type=module', '--eval', code), /function.*\[ 'N', 3 \].*'classify'/s);
  await t.rejects(
    node('--input-type=module', '--eval', "import 'irevnet/dist/src/cli/main.js'"),
    /ERR_PACKAGE_PATH_NOT_EXPORTED/,
  );
});

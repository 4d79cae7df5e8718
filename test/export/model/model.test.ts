import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { slice } from '../../../export/data/images.js';
import { seeded } from '../../../export/data/random.js';
import { inMemory } from '../../../export/data/source.js';
import { packagePath } from '../../../export/files/package.js';
import { type Graph, parameter } from '../../../export/graph/graph.js';
import { add } from '../../../export/graph/ops/elementwise.js';
import { tensor } from '../../../export/graph/tensor.js';
import { createModel, type ModelParts } from '../../../export/model/create.js';
import { readModelFolder } from '../../../export/model/folder.js';
import { forwardGraph, networkParameters } from '../../../export/model/graphs.js';
import { variantsOf } from '../../../export/model/manifest.js';
import { openModel } from '../../../export/model/open.js';
import { checkHeadroom, validate } from '../../../export/model/validate.js';
import type { Network } from '../../../export/networks/index.js';
import { irevnet } from '../../../export/networks/irevnet.js';
import { randomParameters } from '../../helpers/graph.js';
import { small, someImages } from '../../helpers/networks.js';

const someTestImages = slice(await someImages('test'), 0, 60);

const smallModel = (folder: string, config = small, parts: Partial<ModelParts> = {}) =>
  createModel(folder, {
    description: 'a small model of random weights',
    architecture: 'irevnet',
    config,
    weights: randomParameters(networkParameters(irevnet(config)), seeded(6)),
    labels: Array.from({ length: 10 }, (_, i) => `class ${i}`),
    preprocessing: { fit: 'contain', polarity: 'any' },
    training: null,
    ...parts,
  });

t.test('a model folder is written and read back, and validates', async (t) => {
  const folder = join(t.testdir(), 'small');
  const manifest = await smallModel(folder);
  t.same(await readModelFolder(folder), manifest);
  const first = await readFile(join(folder, 'manifest.json'));
  await smallModel(folder);
  t.same(await readFile(join(folder, 'manifest.json')), first, 'written again: the same bytes and hashes');
  const checks = await validate(await openModel(folder), someTestImages, 1);
  t.same(
    checks.filter((c) => c.outcome !== 'ok'),
    [],
  );
  t.ok(checks.length >= 8);
});

t.test('what nothing could read is not written, and what was there stays', async (t) => {
  const models = t.testdir();
  const folder = join(models, 'small');
  const manifest = await smallModel(folder);
  let asked = 0;
  const weights = {
    get: () => {
      asked++;
      throw new Error('weights are read');
    },
  };
  const inversion = { exactFloat: 0, exactPixels: 0, relativeErrorMean: Number.NaN, relativeErrorMax: Number.NaN };
  const refused: [name: string, parts: Partial<ModelParts>, message: RegExp][] = [
    [
      'small',
      { weights, preprocessing: { fit: 'cover', polarity: 'any', shortSide: 27 } },
      /shortSide is 27; expected at/,
    ],
    ['small', { weights, preprocessing: { fit: 'cover', polarity: 'any', shortSide: -1 } }, /shortSide/],
    ['Small', { weights }, /\/name must match pattern/],
    ['small.old', { weights }, /\/name must match pattern/],
    ['small', { measure: async () => ({ data: '', images: 1, accuracy: null, inversion }) }, /\/measured/],
    ['small', { measure: (fresh) => flip(join(fresh, 'weights.bin')).then(() => null) }, /weights\.bin has SHA-256/],
  ];
  for (const [name, parts, message] of refused) {
    await t.rejects(smallModel(join(models, name), small, parts), { name: 'ModelError', message });
    t.same(await readdir(models), ['small']);
    t.same(await readModelFolder(folder), manifest);
  }
  t.equal(asked, 0, 'the manifest is checked first');
});

/** Φ with one more parameter: an offset of the features. */
function shifted(network: Network): Graph {
  const { inputs, outputs } = forwardGraph(network);
  const offset = parameter('shifted.offset', [1], { init: 'zeros', kind: 'trained' });
  return { name: 'forward-shifted', inputs, outputs: { ...outputs, features: add(outputs.features!, offset) } };
}

t.test('a model folder may hold variants of its graphs, with weights of their own', async (t) => {
  const network = irevnet(small);
  for (const [offset, outcome] of [
    [0.001, 'ok'],
    [100, 'warning'],
  ] as const) {
    const folder = join(t.testdir(), 'small');
    const values = randomParameters(networkParameters(network), seeded(6));
    values.set('shifted.offset', tensor('float32', [1], [offset]));
    const manifest = await smallModel(folder, small, { weights: values, variants: [shifted(network)] });
    t.same(Object.keys(manifest.files), ['forward.onnx', 'inverse.onnx', 'forward-shifted.onnx', 'weights.bin']);
    t.same(variantsOf(await readModelFolder(folder)), ['forward-shifted']);
    const checks = await validate(await openModel(folder), someTestImages, 1);
    t.match(
      checks.filter((c) => /variant/.test(c.check) || c.outcome !== 'ok'),
      [{ check: 'variant forward-shifted', outcome, detail: /^features differ by a relative error of / }],
    );
  }
});

t.test('a variant that computes something else is found', async (t) => {
  const folder = join(t.testdir(), 'small');
  const { inputs, outputs } = forwardGraph(irevnet(small));
  await smallModel(folder, small, {
    variants: [{ name: 'forward-half', inputs, outputs: { features: outputs.features! } }],
  });
  const checks = await validate(await openModel(folder), someTestImages, 1);
  t.match(
    checks.find((c) => c.check === 'variant forward-half'),
    { outcome: 'failed', detail: 'it computes pixels → features, expected pixels → features,logits,image' },
  );
});

t.test('graphs of another configuration are found out', async (t) => {
  const folder = join(t.testdir(), 'small');
  const manifest = await smallModel(folder);
  const changed = { ...manifest, grid: 11, architecture: { ...manifest.architecture, config: { ...small, grid: 11 } } };
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(changed));
  const checks = await validate(await openModel(folder), someTestImages, 1);
  t.match(
    checks.find((c) => c.check === 'configuration'),
    { outcome: 'failed', detail: /another forward\.onnx and inverse\.onnx/ },
  );
});

/** What can be wrong with a folder, and what the message has to say. */
const damages: Record<string, [damage: (folder: string) => Promise<void>, message: RegExp]> = {
  'no manifest': [(f) => rm(join(f, 'manifest.json')), /manifest\.json cannot be read \(ENOENT\)/],
  'a manifest that is no JSON': [(f) => writeFile(join(f, 'manifest.json'), '{'), /manifest\.json is not JSON/],
  'another version': [(f) => edit(f, (m) => ({ ...m, format: 2 })), /has format 2, this version reads 1/],
  'a field of the wrong kind': [(f) => edit(f, (m) => ({ ...m, labels: 'none' })), /manifest\.json: \/labels/],
  'a missing file': [(f) => rm(join(f, 'inverse.onnx')), /inverse\.onnx is missing, but manifest\.json lists it/],
  'a truncated file': [
    (f) => writeFile(join(f, 'weights.bin'), 'short'),
    /weights\.bin has 5 bytes, manifest\.json says \d+: truncated/,
  ],
  'a changed file': [
    (f) => flip(join(f, 'weights.bin')),
    /weights\.bin has SHA-256 [0-9a-f]{64}, manifest\.json says [0-9a-f]{64}: it was changed/,
  ],
};

async function edit(folder: string, change: (manifest: object) => object): Promise<void> {
  const path = join(folder, 'manifest.json');
  await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, 'utf8')))));
}

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[1000]! ^= 1;
  await writeFile(path, bytes);
}

t.test('a folder that is not whole is refused', async (t) => {
  const root = t.testdir();
  await smallModel(join(root, 'good'));
  for (const [name, [damage, message]] of Object.entries(damages)) {
    const folder = join(root, 'bad');
    await cp(join(root, 'good'), folder, { recursive: true });
    await damage(folder);
    await t.rejects(readModelFolder(folder), { name: 'ModelError', message }, name);
    await rm(folder, { recursive: true });
  }
});

t.test('streams near the limit of exact sums are warned about, and refused', async (t) => {
  const images = someTestImages;
  const network = irevnet({ ...small, grid: 20 });
  const weights = randomParameters(networkParameters(network), seeded(6));
  const outcome = async (grid: number) =>
    (await checkHeadroom(irevnet({ ...small, grid }), weights, inMemory(images), 1)).outcome;
  t.equal(await outcome(12), 'ok');
  t.equal(await outcome(20), 'warning');
  const last = networkParameters(network).findLast((p) => p.source.name.endsWith('conv3.weight'))!.source.name;
  weights.set(last, { ...weights.get(last)!, data: weights.get(last)!.data.map((v) => 1000 * v) });
  t.equal(await outcome(20), 'failed');
});

t.test('the model that ships: exact, and as accurate as its manifest says', async (t) => {
  const model = await openModel(packagePath('onnx', 'fashion-mnist'));
  const images = someTestImages;
  const checks = await validate(model, images, 2);
  t.same(
    checks.filter((c) => c.outcome !== 'ok'),
    [],
  );
  t.equal(
    model.manifest.features.shape.reduce((a, b) => a * b),
    32 * 32,
    'bijective: as many features as inputs',
  );
});

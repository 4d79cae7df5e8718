import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { readNpy } from '../../../export/formats/npy.js';
import { staticShape } from '../../../export/graph/shape.js';
import { tensor } from '../../../export/graph/tensor.js';
import { type Given, type Imported, importCheckpoint, openCheckpoint } from '../../../export/import/index.js';
import { countTrained, networkParameters } from '../../../export/model/graphs.js';
import { compareWithReference } from '../../../export/model/reference.js';
import { buildNetwork } from '../../../export/networks/index.js';
import type { IRevNetConfig } from '../../../export/networks/irevnet.js';
import type { ResNetConfig } from '../../../export/networks/resnet.js';
import { randomParameters } from '../../helpers/graph.js';
import { dataPath } from '../../helpers/networks.js';
import { base, checkpointOf, releasedName } from '../../helpers/released.js';

/** Checkpoints that the authors' released code wrote, with what it computed. */
const released: Record<string, string> = {
  legacy: 'checkpoint.pth.tar',
  zip: 'checkpoint.pth.tar',
  t7: 'i-revnet.t7',
  padded: 'model.pth',
  'affine-false': 'checkpoint.pth.tar',
};

const npy = async (...path: string[]) => readNpy(await readFile(dataPath('release', ...path)));

/** Every weight of an imported network, in memory. */
async function weightsOf({ specification, weights }: Imported) {
  const names = networkParameters(buildNetwork(specification)).map((p) => p.source.name);
  return new Map(await Promise.all(names.map(async (name) => [name, (await weights.get(name))!] as const)));
}

for (const [format, file] of Object.entries(released)) {
  t.test(`${format}: the network is inferred, and computes what the authors’ code did`, async (t) => {
    const { config, parameters } = JSON.parse(await readFile(dataPath('release', format, 'meta.json'), 'utf8'));
    const checkpoint = await openCheckpoint(dataPath('release', format, file));
    const imported = await importCheckpoint(checkpoint, {});
    const found = imported.specification.config as IRevNetConfig;
    t.same(
      [found.blocks, found.strides, found.widths, found.classes, found.hidden],
      [
        config.nBlocks,
        config.nStrides,
        config.nChannels,
        config.nClasses,
        config.nChannels.map((c: number) => c / (config.mult ?? 4)),
      ],
    );
    t.equal(found.initialPsi, config.init_ds || 1);
    t.same(found.kernels, [3, 3, 3]);
    // Without affineBN the file has no scale and shift; ours are 1 and 0: two numbers a channel of 4 + 4 + 16 + 16 + 16.
    t.equal(countTrained(buildNetwork(imported.specification)) - (config.affineBN === false ? 2 * 56 : 0), parameters);
    t.equal(found.injective, format !== 'zip' && format !== 'legacy');
    if (format === 't7') t.equal(found.input.height, 32, 'the pickled model tells the size of its input');
    const reference = {
      input: await npy(format, 'input.npy'),
      logits: await npy(format, 'logits.npy'),
      features: await npy(format, 'features.npy'),
    };
    const agreement = await compareWithReference(imported.specification, await weightsOf(imported), reference);
    await checkpoint.close();
    for (const [what, error] of Object.entries(agreement)) t.ok(error! < 1e-5, `${what}: ${error}`);
  });
}

/** Other networks of the family, and what has to be said because weights do not tell it. */
const others: Record<string, [config: IRevNetConfig, given?: Given]> = {
  'kernels 1-3-1': [base],
  'kernels 3-5-1': [{ ...base, kernels: [3, 5, 1] }],
  'initial ψ 4, stride 1': [{ ...base, initialPsi: 4, strides: [1, 2], widths: [24, 96] }],
  'one block a stage': [{ ...base, blocks: [1, 1] }],
  'padding before the first block': [
    { ...base, initialPsi: 1, strides: [1, 2], widths: [16, 64], injective: true, blocks: [3, 2] },
  ],
  'padding after an initial ψ': [{ ...base, initialPsi: 4, strides: [1, 2], widths: [48, 192], injective: true }],
  'padding in the middle': [{ ...base, strides: [2, 1], widths: [24, 40], injective: true }],
  'grey images': [
    {
      ...base,
      input: { ...base.input, channels: 1, mean: [0.5], std: [0.5] },
      strides: [1, 2],
      widths: [2, 8],
    },
    { channels: 1 },
  ],
  'another input': [
    { ...base, input: { ...base.input, height: 64, width: 48, mean: [0, 0, 0], std: [1, 1, 1] } },
    { input: [64, 48], mean: [0], std: [1] },
  ],
  'on a grid': [{ ...base, grid: 12 }, { grid: 12 }],
};

t.test('configurations are inferred from the weights alone', async (t) => {
  for (const [name, [config, given = {}]] of Object.entries(others)) {
    for (const dropout of [true, false]) {
      const { specification } = await importCheckpoint(checkpointOf(config, dropout), given);
      t.same(specification, { architecture: 'irevnet', config }, `${name}${dropout ? '' : ', no dropout layer'}`);
    }
  }
});

t.test('a network that is given keeps its grid, unless another is asked for', async (t) => {
  const given = { architecture: 'irevnet', config: { ...base, grid: 10 } };
  const gridOf = async (asked: Given) =>
    (await importCheckpoint(checkpointOf(base), asked, given)).specification.config.grid;
  t.same(await Promise.all([gridOf({}), gridOf({ grid: 12 }), gridOf({ grid: null })]), [10, 12, null]);
});

t.test('what weights do not tell is said to be assumed', async (t) => {
  t.match((await importCheckpoint(checkpointOf(base), {})).assumptions, [
    /input of 32 × 32; --input/,
    /--mean and --std/,
  ]);
  t.same((await importCheckpoint(checkpointOf(base), { input: [32, 32], mean: [0], std: [1] })).assumptions, []);
});

t.test('tensors that do not fit are listed, all at once', async (t) => {
  const broken = checkpointOf(base, true, (tensors) => {
    tensors.delete('stack.1.bottleneck_block.5.weight');
    tensors.delete('bn1.bias');
    tensors.set('aux.weight\x1b[2J', { type: 'float32', dims: [3], data: new Float32Array(3) });
    tensors.set('linear.bias', { type: 'float32', dims: [11], data: new Float32Array(11) });
    tensors.set('bn1.num_batches_tracked', { type: 'float32', dims: [], data: new Float32Array(1) });
  });
  await t.rejects(importCheckpoint(broken, {}), {
    name: 'CheckpointFileError',
    message: [
      'some.pth: 4 tensors do not fit the network:',
      '  stack.1.bottleneck_block.5.weight [5,5,3,3] is missing',
      '  bn1.bias [192] is missing',
      '  linear.bias has shape [11], expected [10]',
      '  aux.weight?[2J [3] is surplus',
    ].join('\n'),
  });
});

t.test('weights of no known network, and weights that are no numbers, are refused', async (t) => {
  const foreign = { ...checkpointOf(base), tensors: new Map([['encoder.weight', undefined as never]]) };
  await t.rejects(importCheckpoint(foreign, {}), /encoder\.weight, …\) are of no known network/);
  const spoilt = checkpointOf(base, true, (tensors) => {
    tensors.get('linear.bias')!.data[3] = Number.NaN;
  });
  const { weights } = await importCheckpoint(spoilt, {});
  await t.rejects(Promise.resolve(weights.get('head.linear.bias')), /number 3 of linear\.bias is NaN/);
});

t.test('torchvision’s ResNets', async (t) => {
  const config = {
    input: { height: 64, width: 64, channels: 3, padding: 0, mean: [0, 0, 0], std: [1, 1, 1] },
    classes: 7,
    stem: 8,
    blocks: [1, 2, 1, 1],
    hidden: [4, 6, 8, 10],
  };
  const weights = randomParameters(networkParameters(buildNetwork({ architecture: 'resnet', config })), seeded(2));
  const stored = [...weights].map(
    ([name, w]) => [name, { dims: w.dims, dtype: 'float32', read: async () => w }] as const,
  );
  const checkpoint = { ...checkpointOf(base), tensors: new Map(stored) };
  const { specification } = await importCheckpoint(checkpoint, { input: [64, 64], mean: [0], std: [1] });
  t.same(specification, { architecture: 'resnet', config });
  await t.rejects(importCheckpoint(checkpoint, { grid: 12 }), /resnet has no grid/);
});

/** torchvision's networks, with the parameters that its documentation publishes. */
const torchvision: Record<string, [parameters: number, config: Partial<ResNetConfig>]> = {
  resnet18: [11_689_512, { blocks: [2, 2, 2, 2], hidden: [64, 128, 256, 512], basic: true }],
  resnet34: [21_797_672, { blocks: [3, 4, 6, 3], hidden: [64, 128, 256, 512], basic: true }],
  resnet101: [44_549_160, { blocks: [3, 4, 23, 3], hidden: [64, 128, 256, 512] }],
  wide_resnet50_2: [
    68_883_240,
    { blocks: [3, 4, 6, 3], hidden: [128, 256, 512, 1024], widths: [256, 512, 1024, 2048] },
  ],
  resnext50_32x4d: [
    25_028_904,
    { blocks: [3, 4, 6, 3], hidden: [128, 256, 512, 1024], widths: [256, 512, 1024, 2048], groups: 32 },
  ],
  resnext101_32x8d: [
    88_791_336,
    { blocks: [3, 4, 23, 3], hidden: [256, 512, 1024, 2048], widths: [256, 512, 1024, 2048], groups: 32 },
  ],
};

t.test('torchvision’s ResNets, wide ResNets and ResNeXts are told by their shapes', async (t) => {
  for (const [name, [parameters, given]] of Object.entries(torchvision)) {
    const config = { input: { ...base.input, height: 64, width: 64 }, classes: 1000, stem: 64, ...given };
    const network = buildNetwork({ architecture: 'resnet', config });
    t.equal(countTrained(network), parameters, name);
    const read = async () => tensor('float32', [0], []);
    const stored = networkParameters(network).map(
      (p) => [p.source.name, { dims: staticShape(p.type.shape), dtype: 'float32', read }] as const,
    );
    const checkpoint = { ...checkpointOf(base), tensors: new Map(stored) };
    const { mean, std } = base.input;
    const { specification } = await importCheckpoint(checkpoint, { input: [64, 64], mean, std });
    t.same(specification, { architecture: 'resnet', config }, name);
    await t.rejects(importCheckpoint(checkpoint, { initialPsi: 2 }), /a ResNet has no initial ψ/);
    await t.rejects(importCheckpoint(checkpoint, { channels: 1 }), /conv1\.weight takes 3 channels, --channels says 1/);
  }
});

for (const kind of ['basic', 'wide', 'groups']) {
  t.test(`a residual network of PyTorch’s computes the same here: ${kind}`, async (t) => {
    const folder = dataPath('residual', kind);
    const read = async (name: string) => readNpy(await readFile(join(folder, name)));
    const checkpoint = await openCheckpoint(join(folder, 'model.pth'));
    const imported = await importCheckpoint(checkpoint, { input: [32, 48] });
    const { parameters } = JSON.parse(await readFile(join(folder, 'meta.json'), 'utf8'));
    t.equal(countTrained(buildNetwork(imported.specification)), parameters);
    const reference = {
      input: await read('input.npy'),
      logits: await read('logits.npy'),
      features: await read('features.npy'),
    };
    const { logits, features } = await compareWithReference(
      imported.specification,
      await weightsOf(imported),
      reference,
    );
    await checkpoint.close();
    t.ok(logits < 1e-5, `logits: ${logits}`);
    t.ok(features! < 1e-5, `features: ${features}`);
  });
}

t.test('the names of the released layers lie in the test data', async (t) => {
  const checkpoint = await openCheckpoint(join(dataPath('release', 'zip'), 'checkpoint.pth.tar'));
  const { specification } = await importCheckpoint(checkpoint, {});
  const names = networkParameters(buildNetwork(specification)).map((p) => releasedName(p.source.name, true));
  t.ok(names.every((name) => checkpoint.tensors.has(name)));
  await checkpoint.close();
});

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { readNpy } from '../../../export/formats/npy.js';
import type { Tensor } from '../../../export/graph/tensor.js';
import { type Checkpoint, type Given, importCheckpoint, openCheckpoint } from '../../../export/import/index.js';
import { countTrained, networkParameters } from '../../../export/model/graphs.js';
import { compareWithReference } from '../../../export/model/reference.js';
import { buildNetwork } from '../../../export/networks/index.js';
import { type IRevNetConfig, irevnet } from '../../../export/networks/irevnet.js';
import { randomParameters } from '../../helpers/graph.js';
import { dataPath } from '../../helpers/networks.js';

/** Checkpoints that the authors' released code wrote, with what it computed. */
const released: Record<string, string> = {
  legacy: 'checkpoint.pth.tar',
  zip: 'checkpoint.pth.tar',
  t7: 'i-revnet.t7',
};

const npy = async (...path: string[]) => readNpy(await readFile(dataPath('release', ...path)));

/** Every weight of an imported network, in memory. */
async function weightsOf({ specification, weights }: ReturnType<typeof importCheckpoint>) {
  const names = networkParameters(buildNetwork(specification)).map((p) => p.source.name);
  return new Map(await Promise.all(names.map(async (name) => [name, (await weights.get(name))!] as const)));
}

for (const [format, file] of Object.entries(released)) {
  t.test(`${format}: the network is inferred, and computes what the authors’ code did`, async (t) => {
    const { config, parameters } = JSON.parse(await readFile(dataPath('release', format, 'meta.json'), 'utf8'));
    const checkpoint = await openCheckpoint(dataPath('release', format, file));
    const imported = importCheckpoint(checkpoint, {});
    const found = imported.specification.config as IRevNetConfig;
    t.same(
      [found.blocks, found.strides, found.widths, found.classes, found.hidden],
      [
        config.nBlocks,
        config.nStrides,
        config.nChannels,
        config.nClasses,
        config.nChannels.map((c: number) => c / config.mult),
      ],
    );
    t.equal(found.initialPsi, config.init_ds || 1);
    t.same(found.kernels, [3, 3, 3]);
    t.equal(countTrained(buildNetwork(imported.specification)), parameters);
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

/** The names that the release gives to our parameters, with a dropout layer or without. */
function releasedName(parameter: string, dropout: boolean): string {
  const [, block, kind, number, part] = /^block(\d+)\.(conv|norm)(\d)\.(\w+)$/.exec(parameter) ?? [];
  if (!block) return parameter.replace('head.norm', 'bn1').replace('head.linear', 'linear');
  const late = dropout ? 1 : 0;
  const index = { conv1: 2, conv2: 5, conv3: 8 + late, norm1: 0, norm2: 3, norm3: 6 + late }[`${kind}${number}`]!;
  return `stack.${Number(block) - 1}.bottleneck_block.${index - (block === '1' ? 2 : 0)}.${part}`;
}

/** A checkpoint in memory, as if the release had trained such a network. */
function checkpointOf(
  config: IRevNetConfig,
  dropout = true,
  change: (tensors: Tensors) => void = () => {},
): Checkpoint {
  const weights = randomParameters(networkParameters(irevnet(config)), seeded(9));
  const tensors: Tensors = new Map([...weights].map(([name, w]) => [releasedName(name, dropout), w]));
  change(tensors);
  const stored = [...tensors].map(
    ([name, w]) => [name, { dims: w.dims, dtype: 'float32', read: async () => w }] as const,
  );
  return {
    path: 'some.pth',
    format: 'pytorch',
    tensors: new Map(stored),
    attributes: new Map(),
    close: async () => {},
  };
}
type Tensors = Map<string, Tensor<'float32'>>;

const base: IRevNetConfig = {
  input: {
    height: 32,
    width: 32,
    channels: 3,
    padding: 0,
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.2023, 0.1994, 0.201],
  },
  classes: 10,
  initialPsi: 2,
  blocks: [2, 1],
  strides: [2, 2],
  widths: [24, 96],
  hidden: [5, 7],
  kernels: [1, 3, 1],
  injective: false,
  grid: null,
};

/** Other networks of the family, and what has to be said because weights do not tell it. */
const others: Record<string, [config: IRevNetConfig, given?: Given]> = {
  'kernels 1-3-1': [base],
  'kernels 3-5-1': [{ ...base, kernels: [3, 5, 1] }],
  'initial ψ 4, stride 1': [{ ...base, initialPsi: 4, strides: [1, 2], widths: [24, 96] }],
  'one block a stage': [{ ...base, blocks: [1, 1] }],
  'padding before the first block': [
    { ...base, initialPsi: 1, strides: [1, 2], widths: [16, 64], injective: true, blocks: [3, 2] },
  ],
  'padding after an initial ψ': [
    { ...base, initialPsi: 4, strides: [1, 2], widths: [48, 192], injective: true },
    { initialPsi: 4 },
  ],
  'padding in the middle': [{ ...base, strides: [2, 1], widths: [24, 40], injective: true }],
  'grey images': [
    {
      ...base,
      input: { ...base.input, channels: 1, mean: [0.5], std: [0.5] },
      strides: [1, 2],
      widths: [2, 8],
    },
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
      const { specification } = importCheckpoint(checkpointOf(config, dropout), given);
      t.same(specification, { architecture: 'irevnet', config }, `${name}${dropout ? '' : ', no dropout layer'}`);
    }
  }
});

t.test('a network that is given keeps its grid, unless another is asked for', async (t) => {
  const given = { architecture: 'irevnet', config: { ...base, grid: 10 } };
  const gridOf = (asked: Given) => importCheckpoint(checkpointOf(base), asked, given).specification.config.grid;
  t.same([gridOf({}), gridOf({ grid: 12 }), gridOf({ grid: null })], [10, 12, null]);
});

t.test('what weights do not tell is said to be assumed', async (t) => {
  t.match(importCheckpoint(checkpointOf(base), {}).assumptions, [/input of 32 × 32; --input/, /--mean and --std/]);
  t.same(importCheckpoint(checkpointOf(base), { input: [32, 32], mean: [0], std: [1] }).assumptions, []);
  const padded = { ...base, initialPsi: 4, strides: [1, 2] as (1 | 2)[], widths: [48, 192], injective: true };
  t.match(importCheckpoint(checkpointOf(padded), {}).assumptions[0], /no ψ before .* --initial-psi/);
});

t.test('tensors that do not fit are listed, all at once', async (t) => {
  const broken = checkpointOf(base, true, (tensors) => {
    tensors.delete('stack.1.bottleneck_block.5.weight');
    tensors.delete('bn1.bias');
    tensors.set('aux.weight', { type: 'float32', dims: [3], data: new Float32Array(3) });
    tensors.set('linear.bias', { type: 'float32', dims: [11], data: new Float32Array(11) });
    tensors.set('bn1.num_batches_tracked', { type: 'float32', dims: [], data: new Float32Array(1) });
  });
  t.throws(() => importCheckpoint(broken, {}), {
    name: 'CheckpointFileError',
    message: [
      'some.pth: 4 tensors do not fit the network:',
      '  stack.1.bottleneck_block.5.weight [5,5,3,3] is missing',
      '  bn1.bias [192] is missing',
      '  linear.bias has shape [11], expected [10]',
      '  aux.weight [3] is surplus',
    ].join('\n'),
  });
});

t.test('weights of no known network, and weights that are no numbers, are refused', async (t) => {
  const foreign = { ...checkpointOf(base), tensors: new Map([['encoder.weight', undefined as never]]) };
  t.throws(() => importCheckpoint(foreign, {}), /encoder\.weight, …\) are of no known network/);
  const spoilt = checkpointOf(base, true, (tensors) => {
    tensors.get('linear.bias')!.data[3] = Number.NaN;
  });
  const { weights } = importCheckpoint(spoilt, {});
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
  const { specification } = importCheckpoint(checkpoint, { input: [64, 64], mean: [0], std: [1] });
  t.same(specification, { architecture: 'resnet', config });
  t.throws(() => importCheckpoint(checkpoint, { grid: 12 }), /resnet has no grid/);
  const shallow = new Map(stored.filter(([name]) => !name.includes('conv3')));
  t.throws(() => importCheckpoint({ ...checkpoint, tensors: shallow }, {}), /two convolutions/);
});

t.test('the names of the released layers lie in the test data', async (t) => {
  const checkpoint = await openCheckpoint(join(dataPath('release', 'zip'), 'checkpoint.pth.tar'));
  const { specification } = importCheckpoint(checkpoint, {});
  const names = networkParameters(buildNetwork(specification)).map((p) => releasedName(p.source.name, true));
  t.ok(names.every((name) => checkpoint.tensors.has(name)));
  await checkpoint.close();
});

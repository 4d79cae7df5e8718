import { readFile } from 'node:fs/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { packagePath } from '../../../export/files/package.js';
import { input, parametersOf, topological, type Value } from '../../../export/graph/graph.js';
import { staticShape } from '../../../export/graph/shape.js';
import { type NamedTensors, sizeOf, zeros } from '../../../export/graph/tensor.js';
import { graphFiles } from '../../../export/model/create.js';
import { countTrained, networkParameters } from '../../../export/model/graphs.js';
import { type Configuration, configurations } from '../../../export/networks/configurations.js';
import { buildNetwork, encode, isInvertible, type Network } from '../../../export/networks/index.js';
import { noise, randomParameters, relativeError, sessionOf } from '../../helpers/graph.js';
import { miniature } from '../../helpers/networks.js';

/** The published counts, and how near they have to be met; the small networks have the counts of the paper's table, divided. */
const published: Record<string, [parameters: number, tolerance: number]> = {
  'fashion-mnist': [4_350_918, 0],
  'fashion-mnist-wide': [5_359_958, 0],
  'cifar-10': [3_972_266, 0],
  'irevnet-small-a': [6 * 1.55e6, 0.02],
  'irevnet-small-b': [1.55e6, 0.02],
  'revnet-small': [1.55e6, 0.02],
  'resnet-small': [1.55e6, 0.02],
  'irevnet-a': [181e6, 0.005],
  'irevnet-b': [29_201_092, 0],
  'irevnet-b-release': [125_120_356, 0],
  'irevnet-cifar': [6_274_826, 0],
  'revnet-56': [28e6, 0.02],
  'resnet-50': [25_557_032, 0],
};

/** Trained numbers in an ONNX file: every initializer that lies outside it, but running statistics. */
function countIn(onnx: Uint8Array): number {
  const { graph } = fromBinary(ModelProtoSchema, onnx);
  const trained = graph!.initializer.filter((i) => i.externalData.length > 0 && !/running_(mean|var)$/.test(i.name));
  return trained.reduce((sum, { dims }) => sum + sizeOf(dims.map(Number)), 0);
}

t.test('every network that has a name has as many parameters as published', async (t) => {
  t.same(Object.keys(published).sort(), Object.keys(configurations).sort(), 'none is left out');
  for (const [name, configuration] of Object.entries(configurations)) {
    const [expected, tolerance] = published[name]!;
    const files = graphFiles(buildNetwork(configuration));
    for (const [file, bytes] of Object.entries(files)) {
      const head = file === 'inverse.onnx' ? headOf(configuration) : 0;
      const count = countIn(bytes) + head;
      t.ok(Math.abs(count - expected) <= tolerance * expected, `${name}/${file}: ${count} of ${expected}`);
    }
  }
});

t.test('the docs list every network with its parameters', async (t) => {
  const docs = await readFile(packagePath('docs', 'researcher.md'), 'utf8');
  for (const [name, configuration] of Object.entries(configurations)) {
    const row = new RegExp(`^\\| \`${name}\` \\| (.*) \\| ([\\d,]+) \\|$`, 'm').exec(docs);
    t.ok(row?.[1]?.startsWith(configuration.description), `${name} is described as it describes itself`);
    t.equal(row?.[2], countTrained(buildNetwork(configuration)).toLocaleString('en'), `${name} has that many`);
  }
});

/** Parameters of the classifier, which the inverse does not need. */
function headOf(configuration: Configuration): number {
  const parameters = networkParameters(buildNetwork(configuration));
  return parameters
    .filter((p) => p.source.name.startsWith('head.') && p.source.role.kind === 'trained')
    .reduce((sum, p) => sum + sizeOf(staticShape(p.type.shape)), 0);
}

t.test('residual networks that cannot be say why', async (t) => {
  const config = { ...miniature.resnet };
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ hidden: [4] }, /hidden: 2 stages need as many entries, got 1/],
    [{ widths: [4, 8, 8] }, /widths: 2 stages need as many entries, got 3/],
    [{ groups: 4 }, /hidden: 6 is not a multiple of 4, the groups/],
    [{ basic: true, groups: 2 }, /groups: basic blocks have none/],
    [{ basic: true, widths: [8, 8] }, /widths: of basic blocks they are 4,6, as inside/],
  ];
  for (const [change, message] of cases)
    t.throws(() => buildNetwork({ architecture: 'resnet', config: { ...config, ...change } }), {
      name: 'ConfigError',
      message,
    });
});

t.test('torchvision’s names for ResNet-50', async (t) => {
  const parameters = new Map(
    networkParameters(buildNetwork(configurations['resnet-50']!)).map((p) => [p.source.name, p.type.shape]),
  );
  t.equal(parameters.size, 267, 'as many as in its state dict, but for the counters of batches');
  t.same(parameters.get('conv1.weight'), [64, 3, 7, 7]);
  t.same(parameters.get('layer2.0.conv2.weight'), [128, 128, 3, 3]);
  t.same(parameters.get('layer4.0.downsample.1.running_var'), [2048]);
  t.same(parameters.get('fc.weight'), [1000, 2048]);
});

const outputsOf = (parts: Record<string, readonly Value[]>): Record<string, Value> =>
  Object.fromEntries(
    Object.entries(parts).flatMap(([name, values]) => values.map((v, s) => [`${name}_${s}`, v] as const)),
  );

const inputOf = ({ input: { channels, height, width } }: Network): Value =>
  input('x', 'float32', ['N', channels, height, width]);

/** Runs values that depend on the network's input, on two random inputs. */
async function run(network: Network, x: Value, outputs: Record<string, Value>, weights: NamedTensors) {
  const session = await sessionOf({ name: 'blocks', inputs: [x], outputs }, weights);
  const { height, width, channels } = network.input;
  const results = await session.run({ x: noise([2, channels, height, width], seeded(4)) });
  await session.release();
  return results;
}

/** How many blocks of each miniature have an inverse. */
const reversible: Record<string, number> = { irevnet: 4, revnet: 3, resnet: 0 };

for (const [architecture, config] of Object.entries(miniature)) {
  const network = buildNetwork({ architecture, config: { ...config } });
  const weights = randomParameters(networkParameters(network), seeded(3));

  t.test(`${architecture}: features have their shape, and blocks with an inverse are inverted`, async (t) => {
    const x = inputOf(network);
    const { features, states } = encode(network, x);
    const found = network.blocks.flatMap((block, i) =>
      block.inverse ? [outputsOf({ [`before_${i}`]: states[i]!, [`back_${i}`]: block.inverse(states[i + 1]!) })] : [],
    );
    t.equal(found.length, reversible[architecture]);
    t.equal(isInvertible(network), architecture === 'irevnet');
    t.equal(states.length, network.blocks.length + 1);
    const outputs = await run(network, x, Object.assign({ features }, ...found), weights);
    t.same(outputs.features!.dims, [2, ...network.features]);
    for (const name of Object.keys(outputs).filter((name) => name.startsWith('back'))) {
      const before = outputs[name.replace('back', 'before')]!;
      t.ok(relativeError(outputs[name]!, before) < 1e-5, name);
    }
  });

  t.test(`${architecture}: a block whose branches give zero is its shortcut`, async (t) => {
    const x = inputOf(network);
    const { states } = encode(network, x);
    const branches = network.blocks.flatMap((block, i) => block.residual!(states[i]!));
    const own = parametersOf(branches).filter((p) => p.source.name.startsWith(network.blocks[0]!.name));
    t.ok(own.length > 0, 'the first block has parameters of its own');
    const inBlock = network.blocks[0]!;
    const silenced = new Map(weights);
    for (const { source, type } of own) silenced.set(source.name, zeros(staticShape(type.shape)));
    const [start, end] = [states[0]!, states[1]!];
    const outputs = await run(
      network,
      x,
      outputsOf({ residual: inBlock.residual!(start), after: end, shortcut: inBlock.shortcut!(start) }),
      silenced,
    );
    for (const [name, value] of Object.entries(outputs)) {
      if (name.startsWith('residual'))
        t.ok(
          value.data.every((v) => v === 0),
          `${name} is zero`,
        );
      if (name.startsWith('after')) t.same(value.data, outputs[name.replace('after', 'shortcut')]!.data, name);
    }
  });

  t.test(`${architecture}: a residual is a value of the forward pass`, async (t) => {
    const x = inputOf(network);
    const { features, states } = encode(network, x);
    const before = topological([features]).length;
    const branches = network.blocks.flatMap((block, i) => block.residual!(states[i]!));
    t.equal(topological([features, ...branches]).length, before, 'asking for it adds no node');
  });
}

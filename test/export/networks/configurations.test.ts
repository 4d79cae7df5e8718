import { readFile } from 'node:fs/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { packagePath } from '../../../export/files/package.js';
import { input } from '../../../export/graph/graph.js';
import { staticShape } from '../../../export/graph/shape.js';
import { sizeOf } from '../../../export/graph/tensor.js';
import { graphFiles } from '../../../export/model/create.js';
import { countTrained, networkParameters } from '../../../export/model/graphs.js';
import { type Configuration, configurations } from '../../../export/networks/configurations.js';
import { buildNetwork, type Network } from '../../../export/networks/index.js';
import { noise, randomParameters, relativeError, sessionOf } from '../../helpers/graph.js';
import { miniature } from '../../helpers/networks.js';

/** The published counts, and how near they have to be met. */
const published: Record<string, [parameters: number, tolerance: number]> = {
  'fashion-mnist': [4_350_918, 0],
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

t.test('the README lists every network with its parameters', async (t) => {
  const readme = await readFile(packagePath('README.md'), 'utf8');
  for (const [name, configuration] of Object.entries(configurations)) {
    const row = new RegExp(`^\\| \`${name}\` \\| (.*) \\| ([\\d,]+) \\|$`, 'm').exec(readme);
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

/** Runs every reversible block between the states around it, forwards and backwards. */
async function reversibleBlocks(network: Network) {
  const { height, width, channels } = network.input;
  const x = input('x', 'float32', ['N', channels, height, width]);
  const { states, features } = network.encode(x);
  const blocks = [...network.reversible].map(([i, layer]) => {
    const [before, after] = [states[i]!, states[i + 1]!] as [readonly [never, never], readonly [never, never]];
    return { before, there: layer.forward(before), after, back: layer.inverse(after) };
  });
  const named = blocks.flatMap((block, i) =>
    Object.entries(block).flatMap(([part, pair]) => pair.map((v, s) => [`${part}_${i}_${s}`, v] as const)),
  );
  const weights = randomParameters(networkParameters(network), seeded(3));
  const session = await sessionOf(
    { name: 'blocks', inputs: [x], outputs: { features, ...Object.fromEntries(named) } },
    weights,
  );
  const outputs = await session.run({ x: noise([2, channels, height, width], seeded(4)) });
  await session.release();
  return { outputs, count: blocks.length };
}

for (const [architecture, config] of Object.entries(miniature)) {
  t.test(`${architecture}: features have their shape, and its reversible blocks are`, async (t) => {
    const network = buildNetwork({ architecture, config: { ...config } });
    const { outputs, count } = await reversibleBlocks(network);
    t.same(outputs.features!.dims, [2, ...network.features]);
    t.equal(count, { irevnet: 4, revnet: 3, resnet: 0 }[architecture]);
    t.equal(network.decode !== undefined, architecture === 'irevnet');
    for (let i = 0; i < count; i++) {
      for (const s of [0, 1]) {
        t.ok(relativeError(outputs[`there_${i}_${s}`]!, outputs[`after_${i}_${s}`]!) < 1e-6, `block ${i} is its layer`);
        t.ok(relativeError(outputs[`back_${i}_${s}`]!, outputs[`before_${i}_${s}`]!) < 1e-5, `block ${i} is inverted`);
      }
    }
  });
}

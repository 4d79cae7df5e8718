import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Images, select } from '../../export/data/images.js';
import { openDataset } from '../../export/data/index.js';
import { permutation, seeded } from '../../export/data/random.js';
import { packagePath } from '../../export/files/package.js';
import { writeNpy } from '../../export/formats/npy.js';
import { type Tensor, tensor } from '../../export/graph/tensor.js';
import { openModel } from '../../export/model/open.js';
import { contraction } from '../../src/analysis/contraction.js';
import { runExperiment } from '../../src/analysis/experiment.js';
import { averagedFeatures } from '../../src/analysis/features.js';
import { neighbours } from '../../src/analysis/neighbours.js';
import { pca } from '../../src/analysis/pca.js';
import { separability } from '../../src/analysis/separability.js';
import { asTrained } from '../../src/analysis/subjects.js';

// Writes averaged features of the shipped model as npy, and what the experiments make of them, for scikit_learn.py:
//   npm run -s build && node dist/test/development/features.js /tmp/features 6000 1000 3,9,13

const [, , output = 'features', train = '6000', test = '1000', named = '3,9,13'] = process.argv;
const depths = named.split(',').map(Number);
const model = await openModel(packagePath('onnx', 'fashion-mnist'));
const dataset = await openDataset({ name: 'fashion-mnist' });
await mkdir(output, { recursive: true });

async function some(part: 'train' | 'test', count: number): Promise<Images> {
  const content = await dataset.load(part);
  if (content.kind !== 'pixels') throw new Error('expected pixels');
  return select(content.images, permutation(content.images.count, seeded(1)).slice(0, count).sort());
}

const save = async (name: string, value: Tensor<'float32'>) => {
  await writeFile(join(output, `${name}.npy`), Buffer.concat(writeNpy(value)));
};

const data = {
  name: dataset.name,
  classes: model.manifest.labels,
  train: await some('train', Number(train)),
  test: await some('test', Number(test)),
};
const context = {
  model,
  data,
  threads: 2,
  cache: { folder: join(output, 'cache'), bytes: 2 ** 30 },
  progress: () => undefined,
  signal: new AbortController().signal,
};
for (const part of ['train', 'test'] as const) {
  const features = await averagedFeatures(context, asTrained(model), data[part], part);
  for (const depth of depths) await save(`${part}-${depth}`, await features.at(depth));
  await save(`${part}-labels`, tensor('float32', [data[part].count], Float32Array.from(data[part].labels)));
}
const results = {
  depths,
  separability: await runExperiment(separability, context, { depths, controls: false }),
  pca: await runExperiment(pca, context, { components: [5, 20] }),
  contraction: await runExperiment(contraction, context, { depths, streams: 10, neighbours: Number(train) }),
  neighbours: await runExperiment(neighbours, context, { depths, images: 64 }),
};
await writeFile(join(output, 'results.json'), JSON.stringify(results));

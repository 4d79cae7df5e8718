import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { slice } from '../../../export/data/images.js';
import { packagePath } from '../../../export/files/package.js';
import { openModel } from '../../../export/model/open.js';
import type { AnalysisError } from '../../../src/analysis/errors.js';
import { readOptions, runExperiment } from '../../../src/analysis/experiment.js';
import { experimentNamed, experiments } from '../../../src/analysis/experiments.js';
import { averagedFeatures } from '../../../src/analysis/features.js';
import { pca } from '../../../src/analysis/pca.js';
import { separability } from '../../../src/analysis/separability.js';
import { asTrained, rearranging } from '../../../src/analysis/subjects.js';
import { someImages } from '../../helpers/networks.js';

const model = await openModel(packagePath('onnx', 'fashion-mnist'));
const test = slice(await someImages('test'), 0, 40);
const train = slice(await someImages('train'), 0, 60);
const calls: string[] = [];
const context = {
  model,
  threads: 1,
  progress: (stage: string) => void calls.push(stage),
  signal: new AbortController().signal,
};

t.test('features are kept, found again without the network, and bounded', async (t) => {
  const cache = { folder: join(t.testdir(), 'kept'), bytes: 2 ** 20 };
  const first = await averagedFeatures({ ...context, cache }, asTrained(model), test, 'pass');
  t.same([first.dimensions[0], first.dimensions.at(-1), first.dimensions.length], [4, 256, 14]);
  const features = await first.at(13);
  calls.length = 0;
  const again = await averagedFeatures({ ...context, cache }, asTrained(model), test, 'pass');
  t.same(calls, [], 'the second time nothing is computed');
  t.same(await again.at(13), features);
  const fresh = await averagedFeatures(context, asTrained(model), test, 'pass');
  t.same(await fresh.at(13), features, 'as without a cache');
  const size = statSync(join(cache.folder, readdirSync(cache.folder)[0]!)).size;
  const tight = { folder: cache.folder, bytes: size };
  await averagedFeatures({ ...context, cache: tight }, rearranging(model)!, test, 'pass');
  t.equal(readdirSync(cache.folder).length, 1, 'the older file went');
});

t.test('an aborted experiment ends with the reason of its signal', async (t) => {
  const signal = AbortSignal.abort(new Error('cancelled'));
  await t.rejects(averagedFeatures({ ...context, signal }, asTrained(model), test, 'pass'), /cancelled/);
});

const data = { name: 'some', classes: model.manifest.labels, train, test };

t.test('separability: both classifiers by depth, with intervals, and a figure', async (t) => {
  const result = await runExperiment(separability, { ...context, data }, { depths: [0, 13], controls: false });
  t.same(
    result.depths.map((d) => [d.depth, d.dimensions]),
    [
      [0, 4],
      [13, 256],
    ],
  );
  const last = result.depths[1]!;
  t.ok(last.svm.accuracy > 0.75 && last.nearestNeighbour.accuracy > 0.7, JSON.stringify(last));
  t.ok(last.svm.interval[0]! < last.svm.accuracy && last.svm.accuracy < last.svm.interval[1]!);
  t.ok(separability.figure(result));
});

t.test('what cannot be analysed is refused with a sentence', async (t) => {
  const refused = async (given: object, options: object, problem: string) => {
    const error = await runExperiment(separability, { ...context, ...given }, options).catch((e: unknown) => e);
    t.equal((error as AnalysisError).problem, problem);
  };
  await refused({}, {}, 'data-missing');
  await refused({ data: { ...data, train: undefined } }, {}, 'data-missing');
  await refused({ data: { ...data, classes: undefined } }, {}, 'data-unlabelled');
  await refused({ data: { ...data, test: slice(test, 0, 1) } }, {}, 'data-one-class');
  await refused({ data: { ...data, train: slice(train, 0, 3) } }, {}, 'too-few-images');
  await refused({ data }, { depths: [14] }, 'option-invalid');
  await refused({ data }, { depth: 1 }, 'option-invalid');
  t.throws(() => experimentNamed('toString'), /there is no experiment "toString"; there are: separability/);
});

t.test('the name in the table is that of the experiment, and every option has a default', async (t) => {
  for (const [name, one] of Object.entries(experiments)) {
    t.equal(one.name, name);
    t.ok(readOptions(one, {}), name);
  }
});

t.test('pca: with every component, distances are those of the channels', async (t) => {
  const result = await runExperiment(pca, { ...context, data }, { components: [5, 59] });
  // 60 images span 59 directions; what a test image has outside of them is the same for all.
  t.equal(result.components[1]!.components, 59);
  t.same(result.components[1]!.nearestNeighbour, result.all.nearestNeighbour);
});

import t from 'tap';
import { Check } from 'typebox/value';
import { pixelsOf } from '../../../export/data/images.js';
import { packagePath } from '../../../export/files/package.js';
import { tensor } from '../../../export/graph/tensor.js';
import { openModel } from '../../../export/model/open.js';
import { runExperiment } from '../../../src/analysis/experiment.js';
import { gradientSigns, moved } from '../../../src/analysis/fgsm.js';
import { drawSvg } from '../../../src/analysis/figure.js';
import { withPasses } from '../../../src/analysis/passes.js';
import { robustness } from '../../../src/analysis/robustness.js';
import { contextOf } from '../../helpers/experiments.js';

t.test('steps along the gradient hurt more than random ones, on the shipped model', async (t) => {
  const model = await openModel(packagePath('onnx', 'fashion-mnist'));
  const context = { ...(await contextOf(t, { count: 16 })), model };
  const result = await runExperiment(robustness, context, { strengths: [32, 4], spectra: 3 });
  t.ok(Check(robustness.result, result));
  t.same(
    result.strengths.map(({ strength }) => strength),
    [4, 32],
  );
  const [, strong] = result.strengths;
  t.ok(strong!.fgsm.count < strong!.noise.count && strong!.fgsm.count < result.accuracy.count, strong!);
  t.same(
    result.correlations.map(({ property }) => property),
    ['gradient', 'largest', 'margin'],
  );
  t.ok(result.spread.largest.minimum > 1, 'a volume-preserving map that changes lengths stretches some direction');
  t.match(await drawSvg(robustness.figure(result)), /^<svg/);
});

t.test('the signs are those of the loss: along them it grows', async (t) => {
  const context = await contextOf(t, { count: 3 });
  const { test: images } = context.data!;
  await withPasses(context, context.model.network, async (passes) => {
    const pixels = pixelsOf(images);
    const loss = async (p: typeof pixels) => {
      const { data } = (await passes.encode(await passes.prepare(p))).logits;
      return Array.from(images.labels, (label, n) => {
        const row = data.subarray(10 * n, 10 * n + 10);
        return Math.log(row.reduce((sum, v) => sum + Math.exp(v), 0)) - row[label]!;
      });
    };
    const [before, after] = [
      await loss(pixels),
      await loss(moved(pixels, await gradientSigns(passes, pixels, images.labels), 8)),
    ];
    for (const [n, l] of after.entries()) t.ok(l > before[n]!, `${before[n]} → ${l}`);
  });
  const edge = moved(tensor('uint8', [1, 1, 2, 1], [250, 3]), tensor('int8', [1, 1, 2, 1], [1, -1]), 10);
  t.same(Array.from(edge.data), [255, 0], 'clipped');
});

t.test('images without labels are refused', async (t) => {
  const context = await contextOf(t);
  const unlabelled = { ...context, data: { ...context.data!, classes: undefined } };
  await t.rejects(runExperiment(robustness, unlabelled), { name: 'AnalysisError', problem: 'data-unlabelled' });
});

import t from 'tap';
import { Check } from 'typebox/value';
import { tensor } from '../../../export/graph/tensor.js';
import { runExperiment } from '../../../src/analysis/experiment.js';
import { drawSvg } from '../../../src/analysis/figure.js';
import { blends, interpolation, measures } from '../../../src/analysis/interpolation.js';
import { contextOf } from '../../helpers/experiments.js';

t.test('the ends of a line are the images; between them the pictures leave the line between the pixels', async (t) => {
  const context = await contextOf(t);
  const result = await runExperiment(interpolation, context, { pairs: 4, steps: 3, grid: 2, shown: 1 });
  t.ok(Check(interpolation.result, result));
  t.same(
    result.lines.map((line) => line.t),
    [0, 0.5, 1],
  );
  const [first, middle, last] = result.lines.map(({ features }) => features);
  t.ok(first!.distance.maximum < 1e-4 && last!.distance.maximum < 1e-4);
  t.ok(middle!.distance.minimum > 1e-3);
  t.equal(first!.outside.maximum, 0, 'an image stays within the range of pixels');
  t.same([result.lines[0]!.endClass, result.lines[0]!.endClassOfPixels], [1, 1]);
  t.ok(result.classMeans!.length > 2);
  t.match(await drawSvg(interpolation.figure(result)), /<image/);
});

t.test('measures of a picture', async (t) => {
  // Neighbours differ by 30, 290, 10, 270 → 600 / 4; one of four values is 20 above the range: √(400 / 4).
  const levels = tensor('float32', [1, 1, 2, 2], [0, 30, 10, 275]);
  const { outside, excess, variation } = measures(levels);
  t.same([outside, excess, variation], [0.25, 10, (30 + 10 + 245 + 265) / 4]);
  const mixed = blends(tensor('float32', [2, 2], [0, 4, 8, 0]), [
    [0.75, 0.25],
    [0, 1],
  ]);
  t.same(Array.from(mixed.data), [2, 3, 8, 0]);
});

t.test('one image makes no line', async (t) => {
  await t.rejects(runExperiment(interpolation, await contextOf(t, { count: 1 })), {
    problem: 'too-few-images',
    message: /there are 1 images; expected at least 2/,
  });
});

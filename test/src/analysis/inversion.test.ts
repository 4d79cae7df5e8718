import t from 'tap';
import { Check } from 'typebox/value';
import { runExperiment } from '../../../src/analysis/experiment.js';
import { drawSvg } from '../../../src/analysis/figure.js';
import { inversion } from '../../../src/analysis/inversion.js';
import { contextOf } from '../../helpers/experiments.js';
import { miniature } from '../../helpers/networks.js';

t.test(
  'on the grid every image comes back in every bit; in plain floats none, and the error grows with depth',
  async (t) => {
    const context = await contextOf(t);
    const result = await runExperiment(inversion, context, { grids: [0, 8], scales: [4], depths: [1, 6] });
    t.ok(Check(inversion.result, result));
    t.same(
      result.grids.map(({ grid }) => grid),
      [12, null, 8],
    );
    for (const { grid, exactFloat, exactPixels, error, notFinite } of [...result.grids, ...result.sets]) {
      t.equal(notFinite, 0);
      t.equal(exactFloat.count, grid === null ? 0 : 12, `grid ${grid}`);
      t.equal(exactPixels?.count ?? 12, 12, 'every pixel');
      t.ok(grid === null ? error!.median > 1e-8 && error!.maximum < 5e-6 : error!.maximum === 0);
    }
    t.same(result.sets.map(({ set }) => set).slice(0, 6), [
      'data',
      'noise',
      'negated',
      'saturated',
      'FGSM',
      'scaled ×4',
    ]);
    const floats = result.byDepth.filter(({ grid }) => grid === null);
    t.same(
      floats.map(({ depth }) => depth),
      [1, 6],
    );
    t.ok(floats[0]!.error!.median < floats[1]!.error!.median);
    t.equal(result.lost, null, 'no pixel is lost');
    t.match(await drawSvg(inversion.figure(result)), /^<svg/);
  },
);

t.test('decoding a midpoint fills the cropped border, decoding features does not', async (t) => {
  const { border } = await runExperiment(inversion, await contextOf(t), { grids: [], scales: [], depths: [1] });
  t.equal(border!.padding, 2);
  t.ok(border!.rms.median > 100 * border!.control.maximum, border!);
  t.ok(border!.features.minimum > 1e-3, 'so the picture does not encode to the midpoint');
});

t.test('a pixel that is lost is shown', async (t) => {
  const { config } = { config: { ...(miniature.irevnet as object), grid: 20 } };
  const context = await contextOf(t, { network: { config, scale: 12 }, pictures: pictures(4) });
  const { lost, sets } = await runExperiment(inversion, context, { grids: [], scales: [], depths: [4] });
  t.ok(
    sets.some(({ exactPixels }) => exactPixels!.count < 4),
    'streams leave the range in which sums are exact',
  );
  t.ok(lost!.pixels > 0 && lost!.largest >= 0.5);
  t.match(lost!.picture, /^data:image\/png;base64,/);
});

t.test('what a coarse grid loses before Φ is in the residual', async (t) => {
  const config = { ...(miniature.irevnet as object), grid: 4 };
  const context = await contextOf(t, { network: { config }, pictures: pictures(4) });
  const { lost, grids } = await runExperiment(inversion, context, { grids: [], scales: [], depths: [4] });
  t.equal(grids[0]!.exactFloat.count, 4, 'Φ gives the canvas back');
  // Canvases are pixels / 255 here: rounding to multiples of 1/16 moves a pixel by up to 255/32.
  t.ok(lost!.pixels > 0 && lost!.largest > 7 && lost!.largest <= 255 / 32, `${lost!.largest} grey levels`);
});

const pictures = (count: number) => {
  const [height, width, channels] = [16, 16, 3];
  const pixels = Uint8Array.from({ length: count * height * width * channels }, (_, i) => (i * 7919) % 256);
  return { count, height, width, channels, pixels, labels: new Uint16Array(count) };
};

t.test('what cannot be measured is refused with a reason', async (t) => {
  const resnet = await contextOf(t, { network: { architecture: 'resnet', config: miniature.resnet } });
  await t.rejects(runExperiment(inversion, resnet), {
    problem: 'not-invertible',
    message: /the network of random has none/,
  });
  const context = await contextOf(t);
  await t.rejects(runExperiment(inversion, context, { depths: [7] }), {
    problem: 'option-invalid',
    message: /depths names 7; expected 1 to 6/,
  });
  await t.rejects(runExperiment(inversion, context, { grids: [21] }), {
    name: 'AnalysisError',
    problem: 'option-invalid',
  });
  const { data: _, ...without } = context;
  await t.rejects(runExperiment(inversion, without), { name: 'AnalysisError', problem: 'data-missing' });
});

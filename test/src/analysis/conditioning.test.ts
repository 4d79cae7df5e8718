import t from 'tap';
import { Check } from 'typebox/value';
import { conditioning } from '../../../src/analysis/conditioning.js';
import { runExperiment } from '../../../src/analysis/experiment.js';
import { drawSvg } from '../../../src/analysis/figure.js';
import { contextOf } from '../../helpers/experiments.js';
import { miniature, small } from '../../helpers/networks.js';

/** Two blocks: a spectrum in a moment. */
const tiny = {
  ...small,
  blocks: [1, 1],
  strides: [1, 2],
  widths: [2, 8],
  hidden: [4, 4],
};
const options = { images: 1, window: 8, depths: [0, 2] };

t.test('exact and Lanczos agree; on a window the least is between two bounds', async (t) => {
  const context = await contextOf(t, { network: { config: tiny }, count: 1 });
  const exact = await runExperiment(conditioning, context, options);
  const lanczos = await runExperiment(conditioning, context, { ...options, method: 'lanczos', wanted: 2 });
  for (const result of [exact, lanczos]) t.ok(Check(conditioning.result, result));
  t.match(exact, { method: 'exact', inputs: 64, features: 1024, window: 8 });
  const [a, b] = [exact.spectra[0]!, lanczos.spectra[0]!];
  t.equal(a.values.length, 64);
  t.ok(Math.abs(b.largest / a.largest - 1) < 1e-3);
  const [low, high] = b.smallestBetween!;
  t.ok(low <= a.smallest! * 1.001 && a.smallest! <= high * 1.001, `${low} ≤ ${a.smallest} ≤ ${high}`);
  t.ok(Math.abs(exact.byDepth[0]!.largest - 1) < 1e-5, 'ψ moves pixels');
  t.equal(exact.byDepth[1]!.largest, a.largest, 'the last block gives the features');
  t.match(await drawSvg(conditioning.figure(exact)), /^<svg/);
  t.match(await drawSvg(conditioning.figure(lanczos)), /^<svg/);
});

t.test('a network without an inverse has a spectrum, but Lanczos knows no least value', async (t) => {
  const pixels = Uint8Array.from({ length: 32 * 48 * 3 }, (_, i) => (i * 7919) % 256);
  const pictures = { count: 1, height: 32, width: 48, channels: 3, pixels, labels: new Uint16Array(1) };
  const network = { architecture: 'resnet', config: miniature.resnet };
  const context = await contextOf(t, { network, pictures });
  const { spectra } = await runExperiment(conditioning, context, {
    images: 1,
    window: 6,
    depths: [4],
    method: 'lanczos',
    wanted: 1,
  });
  t.match(spectra[0], { label: 'picture 0', smallest: null, condition: null, sumOfLogs: null });
});

t.test('what cannot be computed is refused with a reason', async (t) => {
  const context = await contextOf(t, { count: 1 });
  const refused = (given: object, message: RegExp) =>
    t.rejects(runExperiment(conditioning, context, given), { problem: 'option-invalid', message });
  await refused({ window: 33 }, /a window of 33 pixels does not fit; expected at most 32/);
  await refused({ depths: [7] }, /depths names 7; expected 0 to 6/);
  await refused({ method: 'guess' }, /method/);
});

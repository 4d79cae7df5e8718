import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import { packagePath } from '../../export/files/package.js';

interface Line {
  readonly check?: string;
  readonly ok?: boolean;
  readonly skipped?: string;
  readonly [figure: string]: unknown;
}

const check = async (...flags: string[]): Promise<Line[]> => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    packagePath('dist', 'bench', 'gpu-check.js'),
    ...flags,
  ]);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
};

t.test('the check of GPUs does on the CPU what it would do there', async (t) => {
  const flags = ['--images', '4', '--batch', '2', '--seconds', '0.5'];
  const lines = await check('--provider', 'cpu', '--model', 'fashion-mnist', ...flags);
  const of = (name: string) => lines.filter((line) => line.check === name);
  t.same(
    [...new Set(lines.map((line) => line.check))],
    ['provider', 'placement', 'logits', 'self-test', 'round trip', 'speed', 'sizes in turn', 'service', 'training'],
  );
  t.ok(lines.every(({ ok = true }) => ok));
  t.match(of('logits'), [{ relativeError: 0 }]);
  t.same(
    of('round trip').map(({ exactFloat, exactPixels, pixelsRecovered }) => [exactFloat, exactPixels, pixelsRecovered]),
    [
      [4, 4, 1],
      [4, 4, 1],
      [4, 4, 1],
    ],
  );
  t.match(of('speed'), [{ batch: 2, forwardPerSecond: Number, inversePerSecond: Number }]);
  t.match(of('sizes in turn'), [{ timeOverAlone: Number }]);
  for (const { statuses } of of('service')) t.same(Object.keys(statuses as object), ['200']);
  t.match(of('training'), [{ stepsPerSecond: Number, lossAfter: Number }]);
});

t.test('where there is no GPU, it says so and ends well', async (t) => {
  const [first] = await check('--images', '1', '--model', 'fashion-mnist', '--batch', '1');
  t.ok(first!.skipped ? first!.because : first!.check === 'provider');
});

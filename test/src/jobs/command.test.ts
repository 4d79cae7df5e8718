import { existsSync } from 'node:fs';
import { readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { filesIn, mergeIn, models, places, run } from '../../helpers/batch.js';
import { cli, finished, startCli } from '../../helpers/cli.js';
import { rectangle } from '../../helpers/images.js';

t.test('the command survives SIGKILL, stops at SIGTERM, and reports in its exit code', async (t) => {
  const { folder, input, output } = await places(t, 8);
  await writeFile(join(input, 'bad.png'), 'no image');
  // Large images take long to decode, so the command is still running when it gets a signal.
  await writeFile(
    join(folder, 'large.png'),
    await rectangle(2000, 2000, [255], [0]).toColourspace('b-w').png().toBuffer(),
  );
  for (let i = 0; i < 15; i++) await symlink('../large.png', join(input, `large-${i + 10}.png`));
  const inputs = 24;
  const settings = [
    '--models',
    models,
    '--model',
    'small',
    '--part',
    '2',
    '--max-batch',
    '1',
    '--workers',
    '1',
    '--readers',
    '1',
  ];
  const args = ['batch', 'encode', '--input', input, '--output', output, ...settings];
  const parts = async () =>
    existsSync(join(output, 'parts'))
      ? (await readdir(join(output, 'parts'))).filter((name) => /^\d+$/.test(name))
      : [];
  /** Sends a signal to a process when there are more parts. */
  const signalled = async (signal: NodeJS.Signals, args: readonly string[], again?: NodeJS.Signals) => {
    const before = (await parts()).length;
    const child = startCli(args);
    const end = finished(child);
    while ((await parts()).length === before && child.exitCode === null) await sleep(2);
    child.kill(signal);
    if (again) child.stderr!.on('data', (text: string) => text.includes('stopping') && child.kill(again));
    return end;
  };
  t.match(await signalled('SIGKILL', args), { code: null });
  const left = (await parts()).length;
  t.ok(left > 0 && left < inputs / 2, `${left} parts are complete`);
  const stopped = await signalled('SIGTERM', args);
  t.match(stopped, { code: 130, stdout: /^encode 0\/1 interrupted: \d+ of 24 inputs/, stderr: /stopping/ });
  // A second one ends it without a word, by the signal itself.
  const twice = await signalled('SIGINT', args, 'SIGINT');
  t.match(twice, { code: null, stdout: '', stderr: /stopping; send the signal again to end at once\n$/ });
  const kept = 2 * (await parts()).length;
  t.notOk((await readdir(join(output, 'parts'))).some((name) => name.endsWith('.tmp')));

  const last = await cli(...args, '--json');
  t.match(last, { code: 28 }, 'more bad inputs than --max-errors');
  t.match(JSON.parse(last.stdout), { operation: 'encode', outcome: 'finished', kept, computed: inputs - kept, bad: 1 });
  const merged = await cli('batch', 'merge', output, '--max-errors', '1');
  t.match(merged, { code: 0, stdout: /merged: 24 inputs, 1 bad \(1 not-an-image\)\n$/ });

  const whole = join(folder, 'whole');
  await run({ task: 'encode', input, output: whole });
  await mergeIn(whole);
  t.same(await filesIn(join(output, 'merged')), await filesIn(join(whole, 'merged')));
});

t.test('exit codes: 1 refused, 2 wrong usage, 20 no model, 22 the output cannot be written', async (t) => {
  const { folder, input, output } = await places(t, 1);
  const file = join(folder, 'file');
  await writeFile(file, '');
  const encode = (...args: string[]) => cli('batch', 'encode', '--input', input, ...args);
  const [shard, part, refused, model, place] = await Promise.all([
    encode('--output', output, '--shard', '2/2'),
    encode('--output', output, '--part', '0'),
    cli('batch', 'merge', folder),
    encode('--output', output, '--model', 'nope'),
    encode('--output', join(file, 'out')),
  ]);
  t.match(shard, { code: 2, stderr: /expected i\/n with i from 0 to n - 1/ });
  t.match(part, { code: 2, stderr: /--part/ });
  t.match(refused, { code: 1, stderr: /holds no job/ });
  t.match(model, { code: 20, stderr: /no model "nope"/ });
  t.match(place, { code: 22, stderr: /cannot be made a folder/ });
});

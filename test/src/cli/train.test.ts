import { readdir } from 'node:fs/promises';
import t from 'tap';
import { call } from '../../helpers/cli.js';
import { dataPath } from '../../helpers/networks.js';

t.test('settings of training that cannot be are refused before anything is written', async (t) => {
  const refused: Record<string, [flags: string[], code: number, message: RegExp]> = {
    'steps without epochs': [['--schedule', 'steps', '--decay-factor', '0.1'], 1, /the flags: .* needs decayAfter/],
    'epochs of another schedule': [['--decay-after', '2,4'], 1, /belong to a schedule of kind steps, .* is one-cycle/],
    'no epochs': [['--decay-after', '2,x'], 2, /expected a whole number of at least 1/],
    'an average without end': [['--average', '1'], 1, /the flags: average must be < 1/],
    'a crop of nothing': [['--resized-crop', '0'], 2, /expected a number above 0, up to 1/],
    'too much erased': [['--erase', '1.5'], 2, /expected a number from 0 to 1/],
  };
  const output = t.testdir();
  for (const [name, [flags, code, message]] of Object.entries(refused)) {
    const result = await call('train', '--data', dataPath('fashion-mnist'), '--output', `${output}/run`, ...flags);
    t.equal(result.code, code, name);
    t.match(result.stderr, message, name);
  }
  t.same(await readdir(output), []);
});

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { batch, places } from '../../helpers/batch.js';

t.test('what cannot be done is refused with what to do', async (t) => {
  const { folder, input, output } = await places(t, 4);
  const encode = (...args: string[]) => batch('encode', '--input', input, '--output', output, ...args);
  await mkdir(join(folder, 'empty'));
  await writeFile(join(folder, 'bad.jsonl'), '{"id": 1}\n');
  await encode('--shard', '1/2');
  const refused: [number, RegExp, Promise<{ code: number | null; stderr: string }>][] = [
    [2, /expected i\/n with i from 0 to n - 1/, encode('--shard', '2/2')],
    [2, /--part/, encode('--part', '0')],
    [1, /cannot be read \(ENOENT\)/, batch('encode', '--input', join(folder, 'no'), '--output', output)],
    [1, /has no files ending in .jpg/, batch('encode', '--input', join(folder, 'empty'), '--output', output)],
    [1, /line 1 of .*expected/, batch('encode', '--input', join(folder, 'bad.jsonl'), '--output', output)],
    [1, /lies in the input/, batch('encode', '--input', input, '--output', join(input, 'out'))],
    [1, /shards of 2; give --shard i\/2/, encode('--shard', '0/3')],
    [1, /format: "safetensors" there, "npy" here/, encode('--shard', '0/2', '--format', 'npy')],
    [1, /options: .*"auto".* there, .*"yes".* here/, encode('--shard', '1/2', '--invert', 'yes')],
    [1, /--top-k is 11; .* 10 labels/, batch('classify', '--input', input, '--output', output, '--top-k', '11')],
    [1, /at most \d+ inputs fit/, encode('--shard', '0/2', '--part', '99999999')],
    [20, /no model "nope"/, encode('--model', 'nope')],
    [22, /cannot be made a folder/, batch('encode', '--input', input, '--output', join(folder, 'bad.jsonl', 'x'))],
    [1, /holds no shards/, batch('merge', join(folder, 'empty'))],
    [1, /shard 0 of 2 is missing: run it with --shard 0\/2/, batch('merge', output)],
    [1, /shard 0 of 2 is missing/, batch('invert', '--input', output, '--output', join(folder, 'inverted'))],
  ];
  for (const [code, message, ended] of refused) t.match(await ended, { code, stderr: message }, `${message}`);
  await writeFile(join(input, 'more.png'), '');
  t.match(await encode('--shard', '0/2'), { code: 1, stderr: /number of inputs: 4 there, 5 here/ });
});

t.test('a damaged part is not merged', async (t) => {
  const { input, output } = await places(t, 4);
  await batch('encode', '--input', input, '--output', output);
  const part = join(output, 'shards', '0-of-1', 'part-00000', 'features.safetensors');
  const bytes = await readFile(part);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(part, bytes);
  t.match(await batch('merge', output), { code: 1, stderr: /part-00000 is damaged; .*--shard 0\/1/ });
  t.same(await readdir(output), ['shards'], 'nothing half-merged is left');
  t.match(await batch('encode', '--input', input, '--output', output), { code: 0, summary: { computed: 4 } });
  t.equal((await batch('merge', output)).code, 0);
});

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { mergeIn, places, run } from '../../helpers/batch.js';

t.test('a job that cannot be run or merged is refused with a message that says what to do', async (t) => {
  const { folder, input, output } = await places(t, 4);
  const job = { task: 'encode', input, output } as const;
  const [empty, file, old] = [join(folder, 'empty'), join(folder, 'bad.jsonl'), join(folder, 'old')];
  await mkdir(empty);
  await writeFile(file, '{"id": 1}\n');
  await mkdir(join(old, 'shards', '0-of-1'), { recursive: true });
  await run({ ...job, shard: { index: 1, of: 2 } });
  const refused: [RegExp, () => Promise<unknown>][] = [
    [/cannot be read \(ENOENT\)/, () => run({ ...job, input: join(folder, 'no') })],
    [/has no files ending in .jpg/, () => run({ ...job, input: empty })],
    [/line 1 of .*expected/, () => run({ ...job, input: file })],
    [/lies in the input/, () => run({ ...job, output: join(input, 'out') })],
    [/format: "safetensors" there, "npy" here/, () => run({ ...job, data: 'npy' })],
    [/operation: "encode" there, "classify" here/, () => run({ ...job, task: 'classify' })],
    [/options: .*"auto".* there, .*"yes".* here/, () => run({ ...job, invert: 'yes' })],
    [/inputs in a part: 1 there, 2 here/, () => run({ ...job, part: 2 })],
    [/--top-k is 11; .* 10 labels/, () => run({ ...job, task: 'classify', topK: 11 })],
    [/at most \d+ inputs fit/, () => run({ ...job, part: 99_999_999 })],
    [/no model "nope"/, () => run(job, { settings: { model: 'nope' } })],
    [/cannot be made a folder/, () => run({ ...job, output: join(file, 'x') })],
    [/old holds a job of another version .*plan.json of format 3/, () => run({ ...job, output: old })],
    [/old holds a job of another version/, () => mergeIn(old)],
    [/holds no job/, () => mergeIn(empty)],
    [/2 of 4 parts .* are missing, the first with inputs 0 to 0; run the shards/, () => mergeIn(output)],
    [/2 of 4 parts .* are missing/, () => run({ task: 'invert', input: output, output: join(folder, 'inverted') })],
  ];
  for (const [message, attempt] of refused) await t.rejects(attempt(), { message }, `${message}`);
  await writeFile(join(input, 'more.png'), '');
  await t.rejects(run(job), { message: /number of inputs: 4 there, 5 here/ });
  await rm(join(input, 'more.png'));
  await run(job);
  const inverted = join(folder, 'inverted');
  await run({ task: 'invert', input: output, output: inverted });
  await t.rejects(run({ task: 'invert', input: inverted, output: join(folder, 'x') }), {
    message: /holds the output of batch invert; expected features/,
  });
  const plan = JSON.parse(await readFile(join(output, 'plan.json'), 'utf8'));
  await writeFile(join(output, 'plan.json'), JSON.stringify({ ...plan, format: 2 }));
  await t.rejects(run(job), { message: /another version/ });
});

t.test('a damaged part is not merged, and the next run computes it again', async (t) => {
  const { input, output } = await places(t, 4);
  const job = { task: 'encode', input, output, part: 2 } as const;
  await run(job);
  for (const name of ['features.safetensors', 'index.jsonl']) {
    const path = join(output, 'parts', '00001', name);
    const bytes = await readFile(path);
    bytes[bytes.length - 2]! ^= 1;
    await writeFile(path, bytes);
    await t.rejects(mergeIn(output), { message: /parts.00001 is damaged; run the shards/ });
    t.same((await readdir(output)).sort(), ['parts', 'plan.json'], 'no partial result is left');
    t.match(await run(job), { kept: 2, computed: 2 });
  }
  t.match(await mergeIn(output), { rows: 4 });
});

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { CheckpointFileError } from '../../../export/import/index.js';
import { readModelFolder } from '../../../export/model/folder.js';
import { closeGraphs, openGraphs } from '../../../export/model/open.js';
import { configurations } from '../../../export/networks/configurations.js';
import { importModel } from '../../../src/cli/import.js';
import { checkModel } from '../../../src/cli/validate.js';
import { selfTest } from '../../../src/engine/self-test.js';
import { bytesOf, global, reduce, safetensors, text, torchZip } from '../../helpers/checkpoints.js';
import { cli, finished, startCli } from '../../helpers/cli.js';
import { dataPath } from '../../helpers/networks.js';
import { checkpointOf, type Tensors } from '../../helpers/released.js';

const zip = dataPath('release', 'zip', 'checkpoint.pth.tar');
const padded = dataPath('release', 'padded', 'model.pth');

t.test('a checkpoint becomes a model that validates, also against the code that wrote it', async (t) => {
  const models = t.testdir({ 'names.txt': Array.from({ length: 10 }, (_, i) => `name ${i}`).join('\r\n') });
  const labels = join(models, 'names.txt');
  const arguments_ = ['--name', 'mine', '--models', models, '--labels', labels, '--mean', '0', '--std', '1'];
  const imported = await cli('import', zip, ...arguments_, '--grid', '12');
  t.equal(imported.code, 0, imported.stderr);
  t.equal(imported.stdout.trim(), join(models, 'mine'));
  t.match(
    imported.stderr,
    [
      'bijective i-RevNet, initial ψ 2, 3 blocks (1, 2) of strides 2, 2, half-widths 24, 96, bottlenecks 6, 24 and ' +
        'kernels 3-3-3, colour images of 32 × 32 → features of 192 × 4 × 4, 10 classes, 82,474 parameters, on a grid of 2^-12',
      'assumed: input of 32 × 32; --input says otherwise\n',
    ].join('\n'),
  );
  const manifest = await readModelFolder(join(models, 'mine'));
  t.match(manifest, {
    grid: 12,
    input: { width: 32, mean: [0, 0, 0], std: [1, 1, 1] },
    preprocessing: { fit: 'cover' },
    measured: { data: 'noise', images: 4, accuracy: null, inversion: { exactFloat: 4, exactPixels: 4 } },
  });
  t.equal(manifest.labels[9], 'name 9');
  const validated = await cli('validate', 'mine', '--models', models);
  t.equal(validated.code, 0, validated.stdout);
  t.notMatch(validated.stdout, /failed|warning/);
  const against = async (format: string) => {
    const reference = dataPath('release', format);
    const checks = await checkModel('mine', { models, reference, images: 8, threads: 1 });
    return checks.map(({ check, outcome }) => `${check} ${outcome}`);
  };
  t.same(await against('zip'), ['logits ok', 'features ok', 'inversion ok']);
  await t.rejects(against('t7'), { message: /features have shape/ }, 'another network’s results are not matched');
});

t.test('a model on a coarse grid is compared with its reference in plain floats', async (t) => {
  const models = t.testdir();
  await importModel(padded, { name: 'coarse', models, grid: 8, mean: [0], std: [1], threads: 1 });
  const reference = dataPath('release', 'padded');
  const checks = await checkModel('coarse', { models, reference, images: 8, threads: 1 });
  t.match(checks, [
    { check: 'logits', outcome: 'ok', detail: /in plain floats, without the grid of 2\^-8/ },
    { check: 'features', outcome: 'ok' },
    { check: 'inversion', outcome: 'ok' },
  ]);
});

t.test('what cannot be imported leaves nothing behind', async (t) => {
  const folder = t.testdir();
  const file = async (name: string, bytes: Uint8Array) => {
    await writeFile(join(folder, name), bytes);
    return join(folder, name);
  };
  const whole = await readFile(zip);
  const damaged = Buffer.from(whole);
  damaged[damaged.indexOf('checkpoint.pth/data/0') + 200]! ^= 1;
  const marker = join(folder, 'run');
  const malicious = torchZip(reduce(global('os', 'system'), text(`touch ${marker}`)), {});
  const refused: [file: string, flags: object, message: RegExp][] = [
    [await file('cut.pth', whole.subarray(0, 300_000)), {}, /cut\.pth: /],
    [await file('damaged.pth', damaged), {}, /damaged\.pth: .*data\/0/],
    [await file('malicious.pth', malicious), {}, /asks to call os\.system, which is refused/],
    [join(folder, 'none.pth'), {}, /none\.pth/],
    [zip, { labels: zip }, /checkpoint\.pth\.tar holds bytes that are not UTF-8/],
    [zip, { labels: await file('labels.txt', Buffer.from('cat\ndog\n')) }, /class names; expected 10/],
    [zip, { config: 'irevnet-b' }, /tensors do not fit the network:\n( +stack\..*\n){10} +… and \d+ more$/],
    [zip, { config: 'nothing' }, /nothing is no network's name and no file/],
    [zip, { input: [30, 30] }, /30 pixels .* not a multiple of 8/],
    [zip, { input: [100_000, 100_000] }, /--input must be at most 4096 pixels a side, got 100000x100000/],
    [zip, { grid: 30 }, /grid must be a whole number from 1 to 20, or none, got 30/],
    [zip, { shortSide: 20 }, /--short-side must be at least 32, the longer side of the input, got 20/],
    [zip, { mean: [0.1, 0.2] }, /no network as the flags say/],
    [zip, { name: '../elsewhere' }, /"\.\.\/elsewhere" is no name of a model/],
  ];
  const models = join(folder, 'models');
  for (const [source, flags, message] of refused) {
    await t.rejects(importModel(source, { name: 'mine', models, threads: 1, ...flags }), { message });
    t.same(await readdir(models).catch(() => []), [], 'nothing is left');
  }
  await t.rejects(importModel(zip, { name: 'mine', models: zip, threads: 1 }), {
    message: /checkpoint\.pth\.tar is a file; --models names a folder of models/,
  });
  t.notOk((await readdir(folder)).includes('run'), 'nothing was run');
  const { code, stderr } = await cli('import', join(folder, 'cut.pth'), '--name', 'mine', '--models', models);
  t.equal(code, 1);
  t.match(stderr, /^irevnet: .*cut\.pth: /);
  t.notMatch(stderr, /\n {4}at /, 'no stack');
});

t.test('a model of the same name is replaced when that is asked for, and what is no model never', async (t) => {
  const models = t.testdir({ notes: { 'notes.txt': 'mine' } });
  const flags = { name: 'mine', models, threads: 1 };
  await importModel(padded, flags);
  await t.rejects(importModel(join(models, 'none.pth'), flags), {
    message: /mine is there already; --force replaces it/,
  });
  await importModel(padded, { ...flags, grid: 12, force: true });
  t.equal((await readModelFolder(join(models, 'mine'))).grid, 12);
  t.same(await readdir(models), ['mine', 'notes']);
  await t.rejects(importModel(padded, { ...flags, name: 'notes', force: true }), {
    message: /notes is there and is no model/,
  });
  t.ok(existsSync(join(models, 'notes', 'notes.txt')));
});

t.test('a network that is named takes what is said of it besides', async (t) => {
  const models = t.testdir();
  await importModel(zip, { name: 'inferred', models, threads: 1 });
  const { architecture } = await readModelFolder(join(models, 'inferred'));
  const config = join(models, 'network.json');
  await writeFile(config, JSON.stringify({ architecture: 'irevnet', config: architecture.config }));
  const flags = { name: 'named', models, config, threads: 1, force: true };
  await importModel(zip, { ...flags, input: [64, 40], mean: [0.5], std: [0.1, 0.2, 0.3] });
  t.match(await readModelFolder(join(models, 'named')), {
    input: { height: 64, width: 40, mean: [0.5, 0.5, 0.5], std: [0.1, 0.2, 0.3] },
    architecture: { config: { widths: [24, 96] } },
  });
  await t.rejects(importModel(zip, { ...flags, initialPsi: 4 }), { message: /half-width must be 96|do not fit/ });
  await t.rejects(importModel(zip, { ...flags, channels: '1' }), {
    message: /input\.mean: one number a channel \(1\), got 3/,
  });
  await t.rejects(importModel(zip, { ...flags, config: 'resnet-50', initialPsi: 2 }), {
    message: /resnet has no initial ψ: leave out --initial-psi/,
  });
});

/** A small network of the release as a safetensors file, its tensors changed. */
async function spoilt(path: string, change: (tensors: Tensors) => void): Promise<string> {
  const config = Object(configurations['irevnet-cifar']!.config);
  const small = { ...config, blocks: [1, 1], strides: [1, 2], widths: [16, 64], hidden: [4, 16] };
  const { tensors } = checkpointOf(small, false, change);
  const parts: Buffer[] = [];
  const header: Record<string, object> = {};
  let at = 0;
  for (const [name, stored] of tensors) {
    const bytes = bytesOf((await stored.read()).data);
    header[name] = { dtype: 'F32', shape: stored.dims, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
    parts.push(bytes);
  }
  await writeFile(path, safetensors(header, Buffer.concat(parts)));
  return path;
}

t.test('weights that give no numbers are refused, and the tensor is named', async (t) => {
  const folder = t.testdir();
  const models = join(folder, 'models');
  await mkdir(models);
  const set = (name: string, value: number, at?: number) => (tensors: Tensors) => {
    const { data } = tensors.get(name)!;
    for (let i = at ?? 0; i < (at === undefined ? data.length : at + 1); i++) data[i] = value;
  };
  const changes: [change: (tensors: Tensors) => void, message: RegExp][] = [
    [
      set('stack.1.bottleneck_block.3.running_var', -0.3, 2),
      /number 2 of stack\.1\.bottleneck_block\.3\.running_var is -0\.3/,
    ],
    [set('bn1.bias', Number.NaN, 1), /number 1 of bn1\.bias is NaN/],
    [
      set('stack.1.bottleneck_block.8.weight', 3e38),
      /comes from stack\.1\.bottleneck_block\.8\.weight, by a factor of 3\.00e\+38/,
    ],
    [set('stack.0.bottleneck_block.3.weight', 2e38), /comes from stack\.0\.bottleneck_block\.3\.weight/],
    [set('linear.weight', 3e38), /comes from linear\.weight/],
    [set('bn1.weight', 3e38), /comes from bn1\.weight/],
  ];
  for (const [i, [change, message]] of changes.entries()) {
    for (const grid of [undefined, 12]) {
      const path = await spoilt(join(folder, `${i}.safetensors`), change);
      await t.rejects(
        importModel(path, { name: 'mine', models, threads: 1, ...(grid && { grid }) }),
        { message },
        String(message),
      );
      t.same(await readdir(models), []);
    }
  }
});

t.test('negative zero is zero, and the advice about a grid goes the right way', async (t) => {
  const models = t.testdir();
  const flags = { models, threads: 1, mean: [0.48236], std: [0.2] };
  const manifest = await importModel(zip, { ...flags, name: 'zero', grid: 12 });
  t.match(manifest.measured, { inversion: { exactFloat: 4, exactPixels: 4, relativeErrorMax: 0 } });
  const graphs = await openGraphs(join(models, 'zero'), 1);
  t.match(await selfTest(manifest, graphs.forward, graphs.inverse!, { encode: [4], decode: [1] }), {
    exactPixels: 4,
    exactFloat: 4,
  });
  await closeGraphs(graphs);
  await t.rejects(importModel(zip, { ...flags, name: 'coarse', grid: 3 }), {
    message: /coarser than the steps of a pixel; try --grid 6 or more/,
  });
  await importModel(zip, { ...flags, name: 'enough', grid: 6 });
  await t.rejects(importModel(zip, { ...flags, name: 'fine', grid: 20, std: [0.05] }), { message: /smaller grid/ });
});

t.test('a FIFO is refused at once', async (t) => {
  const folder = t.testdir();
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  await t.rejects(importModel(fifo, { name: 'mine', models: folder, threads: 1 }), CheckpointFileError);
});

t.test('a signal that ends an import removes what is not complete', async (t) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const models = t.testdir();
    const child = startCli(['import', zip, '--name', 'mine', '--models', models, '--input', '512']);
    const end = finished(child);
    const ended = once(child, 'exit');
    while (child.exitCode === null && !(await readdir(models)).some((name) => name.endsWith('.tmp')))
      await setTimeout(5);
    child.kill(signal);
    t.same(await ended, [null, signal]);
    await end;
    t.same(await readdir(models), []);
  }
});

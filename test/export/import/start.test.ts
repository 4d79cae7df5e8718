import { readFile } from 'node:fs/promises';
import t from 'tap';
import { tensor } from '../../../export/graph/tensor.js';
import { type Given, importCheckpoint, openCheckpoint } from '../../../export/import/index.js';
import type { IRevNetConfig } from '../../../export/networks/irevnet.js';
import { dataPath } from '../../helpers/networks.js';
import { base, checkpointOf, type Tensors } from '../../helpers/released.js';

/** What a network of PyTorch's had in its first two blocks; written by test/development/release_checkpoints.py. */
interface Seen {
  readonly channels: 1 | 3;
  readonly initialPsi: number;
  readonly width: number;
  /** Trained for a few steps, or with scales and shifts of BatchNorm that no training gave. */
  readonly how: 'trained' | 'shuffled';
  readonly statistics: Readonly<Record<string, readonly number[]>>;
}
const seen: readonly Seen[] = JSON.parse(await readFile(dataPath('release', 'statistics.json'), 'utf8'));

const configOf = ({ channels, initialPsi, width }: Omit<Seen, 'how' | 'statistics'>): IRevNetConfig => ({
  ...base,
  input: { ...base.input, channels, mean: Array(channels).fill(0.5), std: Array(channels).fill(0.5) },
  initialPsi,
  blocks: [1, 1],
  strides: [1, 2],
  widths: [width, 4 * width],
  hidden: [width / 2, 2 * width],
  injective: channels * initialPsi ** 2 < 2 * width,
});

/** A bare state dict of such a network, with these statistics. */
const checkpointLike = (network: Seen) =>
  checkpointOf(configOf(network), true, (tensors) => {
    for (const [name, values] of Object.entries(network.statistics)) set(tensors, name, values);
  });

const set = (tensors: Tensors, name: string, values: readonly number[]) =>
  tensors.set(name, tensor('float32', [values.length], values));

const normalised: Given = { mean: [0.5], std: [0.5] };

t.test('statistics tell how a network begins, or the import is refused; another network is never taken', async (t) => {
  let told = 0;
  for (const network of seen) {
    const { channels, initialPsi, width, how } = network;
    const name = `${channels} channels, ψ ${initialPsi}, half-width ${width}, ${how}`;
    const imported = await importCheckpoint(checkpointLike(network), normalised).catch((error: Error) => error);
    if (imported instanceof Error) {
      t.match(imported.message, new RegExp(`--channels ${channels} --initial-psi ${initialPsi}   `), name);
      t.notOk(how === 'trained' && channels * initialPsi ** 2 <= width, `${name}: the second stream is all zeros`);
    } else {
      told++;
      const { config } = imported.specification;
      t.same({ ...config, input: { ...Object(config.input), height: 32, width: 32 } }, configOf(network), name);
    }
  }
  t.ok(told > seen.length / 2, `${told} of ${seen.length}`);
});

t.test('what statistics suggest and do not prove is said', async (t) => {
  const find = (how: Seen['how']) => seen.find((s) => s.initialPsi === 2 && s.width === 16 && s.how === how)!;
  const said = async (how: Seen['how']) =>
    (await importCheckpoint(checkpointLike(find(how)), { ...normalised, input: [32, 32] })).assumptions;
  t.same(await said('trained'), [], 'channels of zeros have exactly the statistics of zeros');
  t.match(await said('shuffled'), [
    /^colour images, initial ψ 2: injective, 12 channels padded to 32, since only so many/,
  ]);
});

/** Statistics as BatchNorm starts: they tell nothing. */
const untrained = (config: IRevNetConfig) =>
  checkpointOf(config, true, (tensors) => {
    for (const [name, { dims }] of tensors) {
      if (/running_/.test(name)) set(tensors, name, Array(dims[0]!).fill(name.endsWith('var') ? 1 : 0));
    }
  });

t.test('an untrained network is not guessed: flags choose among all that its weights fit', async (t) => {
  const wide = { channels: 3 as const, initialPsi: 4, width: 24 };
  await t.rejects(importCheckpoint(untrained(configOf(wide)), normalised), {
    name: 'CheckpointFileError',
    message: [
      'some.pth: its weights fit 6 networks and do not tell them apart. Choose one by its flags:',
      '  --channels 3 --initial-psi 1   colour images, no initial ψ: injective, 3 channels padded to 48',
      '  --channels 3 --initial-psi 2   colour images, initial ψ 2: injective, 12 channels padded to 48',
      '  --channels 3 --initial-psi 4   colour images, initial ψ 4: 48 channels, no padding',
      '  --channels 1 --initial-psi 1   grey images, no initial ψ: injective, 1 channel padded to 48',
      '  --channels 1 --initial-psi 2   grey images, initial ψ 2: injective, 4 channels padded to 48',
      '  --channels 1 --initial-psi 4   grey images, initial ψ 4: injective, 16 channels padded to 48',
    ].join('\n'),
  });
  for (const channels of [1, 3] as const) {
    for (const initialPsi of [1, 2, 4]) {
      const { specification } = await importCheckpoint(untrained(configOf(wide)), {
        ...normalised,
        channels,
        initialPsi,
      });
      t.match(specification.config, { initialPsi, input: { channels }, injective: channels * initialPsi ** 2 < 48 });
    }
  }
  const { specification } = await importCheckpoint(untrained(configOf(wide)), {
    mean: [0.1, 0.2, 0.3],
    std: [1],
    initialPsi: 2,
  });
  t.match(specification.config, { input: { channels: 3 } }, 'three means are of three channels');
  const two = await importCheckpoint(untrained({ ...base, blocks: [1, 1] }), {});
  t.match(two.specification.config, { initialPsi: 2 }, 'no zero channels can lie before a first block of stride 2');
});

t.test('flags that the file contradicts are refused', async (t) => {
  const trained = seen.find((s) => s.channels === 3 && s.initialPsi === 2 && s.width === 24 && s.how === 'trained')!;
  const checkpoint = checkpointLike(trained);
  await t.rejects(importCheckpoint(checkpoint, { initialPsi: 4, channels: 3 }), {
    message:
      /no network as the flags say\. Its weights fit:\n +--channels 3 --initial-psi 1 .*\n(.*\n)+Leave out the flag/,
  });
  const t7 = await openCheckpoint(dataPath('release', 't7', 'i-revnet.t7'));
  for (const given of [{ initialPsi: 2 }, { channels: 1 as const }, { mean: [1, 2] }]) {
    await t.rejects(importCheckpoint(t7, given), { message: /no network as the flags say/ }, JSON.stringify(given));
  }
  await t7.close();
});

t.test('a pickled module says it itself, grey or colour', async (t) => {
  const grey = configOf({ channels: 1, initialPsi: 2, width: 16 });
  const checkpoint = (attributes: Record<string, number>) => ({
    ...untrained(grey),
    attributes: new Map(Object.entries(attributes)),
  });
  const { specification } = await importCheckpoint(checkpoint({ init_ds: 2, in_ch: 4, ds: 14 }), normalised);
  t.match(specification.config, { initialPsi: 2, input: { channels: 1, height: 56, width: 56 } });
  const colour = await importCheckpoint(checkpoint({ init_ds: 0, in_ch: 3, ds: 16 }), normalised);
  t.match(colour.specification.config, { initialPsi: 1, input: { channels: 3, height: 32, width: 32 } });
  await t.rejects(importCheckpoint(checkpoint({ init_ds: 2 }), normalised), { message: /fit 2 networks/ });
});

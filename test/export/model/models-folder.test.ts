import { appendFile, cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { readModel, readModels } from '../../../export/model/models-folder.js';
import { randomModels } from '../../helpers/app.js';
import { small } from '../../helpers/networks.js';

const original = await randomModels(t, { small: { config: small } });

async function changed(t: Test, change: (folder: string) => Promise<unknown>): Promise<string> {
  const models = t.testdir();
  await cp(original, models, { recursive: true });
  await change(join(models, 'small'));
  return models;
}

const manifestWith = async (folder: string, change: object): Promise<void> => {
  const path = join(folder, 'manifest.json');
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), ...change }));
};

/** What is done to a model folder, and what the error says. */
const refusals: Record<string, readonly [(folder: string) => Promise<unknown>, RegExp]> = {
  'a missing file': [(folder) => rm(join(folder, 'inverse.onnx')), /inverse\.onnx is missing/],
  'a missing manifest': [(folder) => rm(join(folder, 'manifest.json')), /manifest\.json cannot be read/],
  'a longer file': [(folder) => appendFile(join(folder, 'weights.bin'), 'x'), /weights\.bin has \d+ bytes/],
  'a wrong hash': [
    async (folder) => {
      const path = join(folder, 'weights.bin');
      const bytes = await readFile(path);
      bytes[1000]! ^= 1;
      await writeFile(path, bytes);
    },
    /weights\.bin has SHA-256 [0-9a-f]{64}, manifest\.json says [0-9a-f]{64}/,
  ],
  'another version': [(folder) => manifestWith(folder, { format: 99 }), /has format 99, this version reads 1/],
  'another name': [(folder) => manifestWith(folder, { name: 'other' }), /holds a model named other/],
  'another folder': [(folder) => rename(folder, `${folder}-renamed`), /holds a model named small/],
};

for (const [name, [change, message]] of Object.entries(refusals)) {
  t.test(`${name} is refused, and the other models are read`, async (t) => {
    const models = await changed(t, async (folder) => {
      await cp(folder, folder.replace(/small$/, 'whole'), { recursive: true });
      await manifestWith(folder.replace(/small$/, 'whole'), { name: 'whole' });
      await change(folder);
    });
    const { models: whole, damaged } = await readModels(models);
    t.same(
      whole.map(({ manifest }) => manifest.name),
      ['whole'],
    );
    t.match([...damaged], [[/^small/, { name: 'ModelError', message }]]);
    const [refused] = damaged.keys();
    await t.rejects(readModel(models, refused!), { name: 'ModelError', message });
  });
}

t.test('a folder that is missing or without models is refused', async (t) => {
  await t.rejects(readModels(t.testdir()), { name: 'ModelError', message: /holds no model folder/ });
  await t.rejects(readModels('/nowhere'), { name: 'ModelError', message: /cannot be read \(ENOENT\)/ });
});

t.test('one model is read, or all in the order of their names; temporary folders are not', async (t) => {
  const models = await changed(t, async (folder) => {
    await cp(folder, `${folder}.tmp`, { recursive: true });
    await mkdir(join(folder, '..', 'lost+found'));
    await cp(folder, folder.replace(/small$/, 'another'), { recursive: true });
    await manifestWith(folder.replace(/small$/, 'another'), { name: 'another' });
  });
  const { models: found } = await readModels(models);
  t.same(
    found.map(({ manifest }) => manifest.name),
    ['another', 'small'],
  );
  t.equal((await readModel(models, 'small')).manifest.name, 'small');
  await t.rejects(readModel(models, 'x'), { message: /there is no model "x" in .*; it has: another, small$/ });
});

t.test('where graphs are not needed, manifests alone are read', async (t) => {
  const models = await changed(t, (folder) => rm(join(folder, 'forward.onnx')));
  t.equal((await readModels(models, { files: false })).models.length, 1);
});

import { appendFile, cp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import t, { type Test } from 'tap';
import { writeListed } from '../../../export/model/folder.js';
import { type Config, readConfig } from '../../../src/common/config.js';
import { openEngine } from '../../../src/engine/engine.js';
import { randomModels } from '../../helpers/app.js';
import { cli } from '../../helpers/cli.js';
import { small } from '../../helpers/networks.js';

const open = async (models: string, more: Partial<Config> = {}) => {
  const engine = await openEngine({ ...readConfig({}, {}), models, model: 'small', ...more });
  await engine.ready.finally(engine.close);
};

const changed = async (t: Test, change: (folder: string) => Promise<unknown>): Promise<string> => {
  const models = await randomModels(t, { small: { config: small } });
  await change(join(models, 'small'));
  return models;
};

const manifestWith = async (folder: string, change: object): Promise<void> => {
  const path = join(folder, 'manifest.json');
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), ...change }));
};

/** What is done to a model folder, and what the refusal says. */
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
  t.test(`${name} is refused`, async (t) => t.rejects(open(await changed(t, change)), { name: 'ModelError', message }));
}

t.test('an empty folder, none, and an unknown default are refused', async (t) => {
  await t.rejects(open(t.testdir()), { message: /holds no model folder/ });
  await t.rejects(open('/nowhere'), { message: /cannot be read \(ENOENT\)/ });
  const models = await changed(t, (folder) => cp(folder, `${folder}.tmp`, { recursive: true }));
  await t.rejects(openEngine({ ...readConfig({}, {}), models, model: 'x' }), {
    message: /default model x .* it has: small$/,
  });
  await open(models);
});

t.test('a graph that does not load is refused with the reason, by the service as well', async (t) => {
  const models = await changed(t, async (folder) => {
    const { files } = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
    await cp(join(folder, 'inverse.onnx'), join(folder, 'forward.onnx'));
    await manifestWith(folder, { files: { ...files, 'forward.onnx': files['inverse.onnx'] } });
  });
  await t.rejects(open(models), { reason: 'model-damaged', message: /expected features, logits, image of pixels/ });
  const { code, stderr } = await cli(
    'serve',
    '--models',
    models,
    '--model',
    'small',
    '--port',
    '0',
    '--log-level',
    'silent',
  );
  t.equal(code, 21);
  t.match(stderr, /^irevnet: .*forward\.onnx makes pixels, image of features/);
  t.notMatch(stderr, /\n\s+at /, 'no stack');
});

t.test('a graph is tried on the largest batch before it is served', async (t) => {
  const models = await changed(t, async (folder) => {
    const { files } = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
    const path = join(folder, 'forward.onnx');
    const listed = await writeListed(path, [fixedTo(1, await readFile(path))]);
    await manifestWith(folder, { files: { ...files, 'forward.onnx': listed } });
  });
  await open(models, { maxBatch: 1, preload: 'forward' });
  const message = /invalid dimensions for input: pixels .* Got: 2 Expected: 1/s;
  await t.rejects(open(models, { maxBatch: 2, preload: 'forward' }), { reason: 'model-damaged', message });
});

/** A model that takes just so many images at once. */
function fixedTo(images: number, onnx: Uint8Array): Uint8Array {
  const model = fromBinary(ModelProtoSchema, onnx);
  for (const { type } of model.graph!.input) {
    if (type?.value.case !== 'tensorType') continue;
    type.value.value.shape!.dim[0]!.value = { case: 'dimValue', value: BigInt(images) };
  }
  return toBinary(ModelProtoSchema, model);
}

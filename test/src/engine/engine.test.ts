import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import t, { type Test } from 'tap';
import { writeListed } from '../../../export/files/write.js';
import { type Config, readConfig } from '../../../src/common/config.js';
import { explainExit } from '../../../src/common/exit-codes.js';
import { openEngine } from '../../../src/engine/engine.js';
import { randomModels } from '../../helpers/app.js';
import { small } from '../../helpers/networks.js';

const original = await randomModels(t, { small: { config: small } });

/** The models folder with its graph `forward` replaced, as its manifest says. */
async function withForward(t: Test, onnx: (folder: string) => Promise<Uint8Array>): Promise<string> {
  const models = t.testdir();
  await cp(original, models, { recursive: true });
  const folder = join(models, 'small');
  const listed = await writeListed(join(folder, 'forward.onnx'), [await onnx(folder)]);
  const path = join(folder, 'manifest.json');
  const manifest = JSON.parse(await readFile(path, 'utf8'));
  const files = { ...manifest.files, 'forward.onnx': listed };
  await writeFile(path, JSON.stringify({ ...manifest, files }));
  return models;
}

const open = async (models: string, more: Partial<Config> = {}) => {
  const engine = await openEngine({ ...readConfig({}, {}), models, model: 'small', workers: 1, ...more });
  await engine.ready.finally(engine.close);
};

t.test('an unknown default model is refused', async (t) => {
  await t.rejects(openEngine({ ...readConfig({}, {}), models: original, model: 'x' }), {
    name: 'ModelError',
    message: /default model x .* it has: small$/,
  });
});

t.test('a file that holds another graph than its name says is refused', async (t) => {
  const models = await withForward(t, (folder) => readFile(join(folder, 'inverse.onnx')));
  const error = await open(models).catch((e: Error) => e);
  t.match(explainExit(error as Error), {
    code: 21,
    message: /forward\.onnx makes pixels, image of features; expected features, logits, image of pixels/,
  });
});

t.test('a graph is tried on the largest batch before it is served', async (t) => {
  const models = await withForward(t, async (folder) => fixedTo(1, await readFile(join(folder, 'forward.onnx'))));
  await open(models, { maxBatch: 1, preload: 'forward' });
  const message = /invalid dimensions for input: pixels .* Got: 2 Expected: 1/s;
  await t.rejects(open(models, { maxBatch: 2, preload: 'forward' }), { reason: 'model-damaged', message });
});

/** A model that takes exactly this many images at once. */
function fixedTo(images: number, onnx: Uint8Array): Uint8Array {
  const model = fromBinary(ModelProtoSchema, onnx);
  for (const { type } of model.graph!.input) {
    if (type?.value.case !== 'tensorType') continue;
    type.value.value.shape!.dim[0]!.value = { case: 'dimValue', value: BigInt(images) };
  }
  return toBinary(ModelProtoSchema, model);
}

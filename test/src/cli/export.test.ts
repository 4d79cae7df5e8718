import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, OperatorSetIdProtoSchema } from 'onnx-buf';
import t from 'tap';
import { sha256, writeAtomically } from '../../../export/files/write.js';
import { createModel } from '../../../export/model/create.js';
import { readModelFolder } from '../../../export/model/folder.js';
import { withRebuiltParts } from '../../../src/cli/export-parts.js';
import { checkModel } from '../../../src/cli/validate.js';
import { randomModels } from '../../helpers/app.js';
import { cli } from '../../helpers/cli.js';
import { small } from '../../helpers/networks.js';

/** Makes of a model what an older version wrote: graphs with another import. The manifest lists them. */
async function aged(folder: string): Promise<void> {
  const manifest = await readModelFolder(folder);
  const files: Record<string, { bytes: number; sha256: string }> = { ...manifest.files };
  for (const name of ['forward.onnx', 'inverse.onnx']) {
    const model = fromBinary(ModelProtoSchema, await readFile(join(folder, name)));
    model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: 'com.microsoft', version: 1n }));
    const bytes = toBinary(ModelProtoSchema, model);
    files[name] = { bytes: bytes.length, sha256: sha256(bytes) };
    await writeAtomically(join(folder, name), bytes);
  }
  await writeAtomically(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, files }));
}

const flags = { seed: 1, threads: 2 };

t.test('a model folder is written anew: the graphs of this version, the same weights', async (t) => {
  const models = await randomModels(t, { old: { config: small } });
  const old = join(models, 'old');
  const graphs = await readFile(join(old, 'forward.onnx'));
  await aged(old);
  const outcome = async () => {
    const checks = await checkModel('old', { models, images: 2, threads: 2 });
    return checks.find(({ check }) => check === 'configuration');
  };
  t.match(await outcome(), { outcome: 'failed', detail: /makes another forward.onnx and inverse.onnx/ });
  const weights = await readFile(join(old, 'weights.bin'));
  t.match(await cli('export', old, '--models', models), { code: 0, stdout: `${old}\n` });
  t.match(await outcome(), { outcome: 'ok' });
  t.same(await readFile(join(old, 'forward.onnx')), graphs);
  t.same(await readFile(join(old, 'weights.bin')), weights);

  const finer = await withRebuiltParts(old, { ...flags, grid: 14 }, (parts) =>
    createModel(join(models, 'finer'), parts),
  );
  t.match(
    { ...finer, weights: finer.files['weights.bin'].sha256 },
    { grid: 14, weights: sha256(weights), training: null },
  );
  t.same(finer.labels, (await readModelFolder(old)).labels);

  await copyFile(join(old, 'inverse.onnx'), join(old, 'forward.onnx'));
  await t.rejects(
    withRebuiltParts(old, flags, async () => {}),
    {
      name: 'ModelError',
      message: /forward\.onnx has .* manifest\.json says/,
    },
  );
});

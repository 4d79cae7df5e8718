import { chmod, cp, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { packagePath } from '../../../export/files/package.js';
import { ExitError, exitCodes, explainExit } from '../../../src/common/exit-codes.js';
import { randomModels } from '../../helpers/app.js';
import { call, finished, startCli } from '../../helpers/cli.js';
import { small } from '../../helpers/networks.js';

const serve = (models: string, ...flags: string[]) =>
  call('serve', '--port', '0', '--log-level', 'silent', '--models', models, ...flags);

/** A folder with a copy of the model that ships, changed. */
async function copied(t: Test, change: (folder: string) => Promise<unknown>): Promise<string> {
  const models = t.testdir();
  await cp(packagePath('onnx', 'fashion-mnist'), join(models, 'fashion-mnist'), { recursive: true });
  await change(join(models, 'fashion-mnist'));
  return models;
}

t.test('no two reasons share a code, and none is one of Node’s', async (t) => {
  const codes = Object.values(exitCodes);
  t.equal(new Set(codes).size, codes.length);
  t.ok(codes.slice(3).every((code) => code >= 20 && code < 64));
});

interface Case {
  models(t: Test): string | Promise<string>;
  readonly flags?: readonly string[];
  readonly code: number;
  readonly message: RegExp;
}

const wild = (t: Test) => randomModels(t, { wild: { config: { ...small, grid: null }, scale: 8 } });

const cases: Readonly<Record<string, Case>> = {
  'no folder': { models: () => '/nowhere', code: 20, message: /the models folder \/nowhere cannot be read \(ENOENT\)/ },
  'an empty folder': {
    models: (t) => t.testdir(),
    code: 20,
    message: /holds no model folder; export one into it, or name another with --models/,
  },
  'other models': { models: wild, code: 20, message: /the default model fashion-mnist is not in .*; it has: wild/ },
  'a half-copied model': {
    models: (t) => copied(t, (folder) => truncate(join(folder, 'weights.bin'), 1000)),
    code: 21,
    message: /weights\.bin has 1000 bytes, .*truncated/,
  },
  'a model beside the default one that is damaged, where that ends the start': {
    models: (t) =>
      copied(t, async (folder) => {
        await cp(folder, `${folder}-2`, { recursive: true });
        await truncate(join(`${folder}-2`, 'weights.bin'), 1000);
      }),
    flags: ['--on-model-error', 'exit'],
    code: 21,
    message: /fashion-mnist-2\/weights\.bin has 1000 bytes, .*truncated/,
  },
  'an inverse that does not invert, of a model beside the default one, where that ends the start': {
    models: async (t) => {
      const models = await wild(t);
      await cp(packagePath('onnx', 'fashion-mnist'), join(models, 'fashion-mnist'), { recursive: true });
      return models;
    },
    flags: ['--on-model-error', 'exit'],
    code: 27,
    message: /model wild recovers only \d of 4 noise images on this device/,
  },
  'an inverse that does not invert': {
    models: wild,
    flags: ['--model', 'wild', '--preload', 'both'],
    code: 27,
    message: /model wild recovers only \d of 4 noise images on this device/,
  },
};

for (const [name, { models, flags = [], code, message }] of Object.entries(cases)) {
  t.test(`${name}: words and a code of its own`, async (t) => {
    const ended = await serve(await models(t), ...flags);
    t.equal(ended.code, code, ended.stderr);
    t.match(ended.stderr, message);
    t.equal(ended.stderr.trim().split('\n').length, 1, 'one line, no stack');
  });
}

t.test(
  'a folder that this user may not read',
  { skip: process.getuid?.() !== 0 && 'needs root, to be somebody else' },
  async (t) => {
    const models = await copied(t, async () => undefined);
    await chmod(models, 0o700);
    const child = startCli(['models', '--models', models], {}, { uid: 65534, gid: 65534 });
    const { code, stderr } = await finished(child);
    t.equal(code, 26, stderr);
    t.match(stderr, /cannot be read \(EACCES\)/);
  },
);

t.test('errors of the system are put into words', async (t) => {
  const error = (code: string, more = {}) => Object.assign(new Error(`${code}: as Node says it`), { code, ...more });
  t.same(explainExit(error('EROFS', { path: '/models/x' })), {
    code: 22,
    message:
      '/models/x: the file system is read-only; mount it writable, or name another folder (EROFS: as Node says it)',
  });
  t.match(explainExit(error('ENOSPC')), { code: 22, message: /^the disk is full/ });
  t.match(explainExit(error('EADDRINUSE', { address: '::1', port: 80 })), { code: 25, message: /^::1:80: another/ });
  t.match(explainExit(error('EACCES', { address: '0.0.0.0', port: 80 })), { code: 26 });
  t.same(explainExit(error('EIO')), { code: 1, message: 'EIO: as Node says it' });
  t.same(explainExit(new ExitError('images-skipped', 'two')), { code: 28, message: 'two' });
});

import { resolve } from 'node:path';
import t from 'tap';
import { packagePath } from '../../../export/files/package.js';
import { flagOf, rangeOf, readConfig, settingOption, settings, variableOf } from '../../../src/common/config.js';

t.test('defaults', async (t) => {
  t.match(readConfig({}, {}), { host: '127.0.0.1', port: 8080, model: 'fashion-mnist', models: packagePath('onnx') });
});

t.test('flags win over the environment, and that over defaults', async (t) => {
  const environment = { IREVNET_PORT: '9000', IREVNET_MAX_BYTES: '4096', IREVNET_WORKERS: '', IREVNET_MODELS: 'here' };
  t.match(readConfig({ port: '9001' }, environment), {
    port: 9001,
    maxBytes: 4096,
    workers: 0,
    models: resolve('here'),
  });
});

t.test('every setting that is wrong is named, with what is allowed', async (t) => {
  const environment = { IREVNET_PORT: '70000', IREVNET_WORKERS: 'two', IREVNET_LOG_LEVEL: 'loud' };
  t.throws(() => readConfig({ maxQueue: '0' }, environment), {
    name: 'SettingsError',
    message: [
      'IREVNET_PORT is "70000": expected a whole number from 0 to 65535',
      '--max-queue is "0": expected a whole number from 1 to 1000000',
      'IREVNET_WORKERS is "two": expected a whole number from 0 to 64',
      'IREVNET_LOG_LEVEL is "loud": expected one of fatal, error, warn, info, debug, trace, silent',
    ].join('\n'),
  });
  for (const text of ['1.5', '1e3x', '0x10', ' ', '-1']) t.throws(() => readConfig({}, { IREVNET_PORT: text }), text);
});

t.test('every setting has a flag and a variable, and its help says both', async (t) => {
  for (const key of settings) {
    t.match(variableOf(key), /^(IREVNET|OTEL)_[A-Z_]+$/);
    const option = settingOption(key);
    t.equal(option.long, flagOf(key));
    t.equal(option.attributeName(), key);
    t.ok(option.description.includes(variableOf(key)));
    t.match(rangeOf(key), /^(a whole number from \d+ to \d+|one of |a text|numbers|sizes|name=path)/);
  }
});

import { cp, lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, type ValueInfoProto } from 'onnx-buf';
import t from 'tap';
import { noiseImages } from '../../../export/data/noise.js';
import { packagePath } from '../../../export/files/package.js';
import { tensor } from '../../../export/graph/tensor.js';
import { readModelFolder } from '../../../export/model/folder.js';
import { openSession } from '../../../export/runtime/session.js';
import type { TritonSettings } from '../../../src/protocols/triton/config.js';
import { writeRepository } from '../../../src/protocols/triton/repository.js';
import { randomModels } from '../../helpers/app.js';
import { call, cli } from '../../helpers/cli.js';
import { miniature, variants } from '../../helpers/networks.js';
import { type ConfigTensor, ensembleMistakes, parseConfig, readTritonConfig } from '../../helpers/triton.js';

const settings: TritonSettings = { provider: 'cuda', batches: [1, 8, 64], maxDelay: 2 };
const shipped = packagePath('onnx', 'fashion-mnist');

/** Element types by their numbers in ONNX. */
const dataTypes: Readonly<Record<number, string>> = { 1: 'TYPE_FP32', 2: 'TYPE_UINT8' };

/** A tensor of an ONNX graph as a configuration has it: every graph here has the batch in front, of any size. */
function configTensor({ name, type }: ValueInfoProto): ConfigTensor {
  if (type?.value.case !== 'tensorType') throw new TypeError(`${name} is no tensor`);
  const { elemType, shape } = type.value.value;
  const [batch, ...dims] = shape!.dim.map(({ value }) => (value.case === 'dimValue' ? Number(value.value) : -1));
  if (batch !== -1) throw new TypeError(`${name} has a fixed batch`);
  return { name, data_type: dataTypes[elemType]!, dims };
}

const plain = ({ name, data_type, dims }: ConfigTensor): ConfigTensor => ({ name, data_type, dims });

t.test('every field is one of Triton’s, and none could be another', async (t) => {
  const repository = t.testdir();
  const names = await writeRepository(shipped, repository, { ...settings, gpuMemory: 2 ** 31 });
  t.same(names, ['fashion-mnist', 'fashion-mnist-inverse', 'fashion-mnist-round-trip']);
  const pixels = { data_type: 'TYPE_UINT8', dims: [28, 28, 1] };
  const features = { data_type: 'TYPE_FP32', dims: [256, 2, 2] };
  const warmup = (name: string, input: object) =>
    [1, 8, 64].map((size) => ({
      name: `batch of ${size}`,
      batch_size: size,
      inputs: { [name]: { ...input, zero_data: true } },
    }));
  const common = {
    backend: 'onnxruntime',
    max_batch_size: 64,
    optimization: {
      execution_accelerators: {
        gpu_execution_accelerator: [{ name: 'cuda', parameters: { use_tf32: '0', cudnn_conv_use_max_workspace: '1' } }],
      },
    },
    dynamic_batching: { preferred_batch_size: [8, 64], max_queue_delay_microseconds: 2000 },
    instance_group: [{ kind: 'KIND_GPU', count: 1 }],
    parameters: {
      cudnn_conv_algo_search: { string_value: '1' },
      arena_extend_strategy: { string_value: '1' },
      gpu_mem_limit: { string_value: '2147483648' },
    },
  };
  const image = { name: 'image', data_type: 'TYPE_FP32', dims: [1, 28, 28] };
  const logits = { name: 'logits', data_type: 'TYPE_FP32', dims: [10], label_filename: 'labels.txt' };
  t.strictSame(await readTritonConfig(repository, 'fashion-mnist'), {
    ...common,
    name: 'fashion-mnist',
    input: [{ name: 'pixels', ...pixels, format: 'FORMAT_NHWC' }],
    output: [{ name: 'features', ...features }, logits, image],
    model_warmup: warmup('pixels', pixels),
  });
  t.strictSame(await readTritonConfig(repository, 'fashion-mnist-inverse'), {
    ...common,
    name: 'fashion-mnist-inverse',
    input: [{ name: 'features', ...features }],
    output: [{ name: 'pixels', ...pixels }, image],
    model_warmup: warmup('features', features),
  });
  t.strictSame(await readTritonConfig(repository, 'fashion-mnist-round-trip'), {
    name: 'fashion-mnist-round-trip',
    platform: 'ensemble',
    max_batch_size: 64,
    input: [{ name: 'pixels', ...pixels, format: 'FORMAT_NHWC' }],
    output: [{ name: 'recovered', ...pixels }, logits],
    ensemble_scheduling: {
      step: [
        {
          model_name: 'fashion-mnist',
          model_version: -1,
          input_map: { pixels: 'pixels' },
          output_map: { features: 'features', logits: 'logits' },
        },
        {
          model_name: 'fashion-mnist-inverse',
          model_version: -1,
          input_map: { features: 'features' },
          output_map: { pixels: 'recovered' },
        },
      ],
    },
  });
  for (const name of names) {
    const text = await readFile(join(repository, name, 'config.pbtxt'), 'utf8');
    const fields = new Set([...text.matchAll(/^ *(\w+)(?:: | \{)/gm)].map(([, field]) => field!));
    for (const field of fields) {
      const misspelt = text.replace(new RegExp(`^( *)${field}\\b`, 'm'), `$1${field}_`);
      t.throws(() => parseConfig(misspelt), new RegExp(`unknown (map )?field '${field}_'`));
    }
    t.throws(() => parseConfig(text.replace('TYPE_UINT8', 'TYPE_BYTE')), /enum value expected/);
    t.throws(
      () => parseConfig(text.replace(/max_batch_size: (\d+)/, 'max_batch_size: "$1"')),
      /integer value expected/,
    );
  }
});

t.test('configurations are those of the graphs beside them, whose round trip is exact', async (t) => {
  const models = await randomModels(t, {
    injective: { config: variants['injective, no initial ψ']! },
    resnet: { architecture: 'resnet', config: miniature.resnet },
  });
  const repository = join(models, 'triton');
  for (const name of ['injective', 'resnet']) await writeRepository(join(models, name), repository, settings);
  const names = (await readdir(repository)).sort();
  t.same(names, ['injective', 'injective-inverse', 'injective-round-trip', 'resnet'], 'what has no inverse is Φ alone');
  const configs = await Promise.all(names.map((name) => readTritonConfig(repository, name)));
  t.same(
    configs.map(({ name }) => name),
    names,
    'a model is called as its folder is',
  );
  for (const { name, input, output, model_warmup, max_batch_size } of configs) {
    if (name === 'injective-round-trip') continue;
    const { graph } = fromBinary(ModelProtoSchema, await readFile(join(repository, name, '1', 'model.onnx')));
    t.same(input.map(plain), graph!.input.map(configTensor));
    t.same(output.map(plain), graph!.output.map(configTensor));
    for (const { batch_size, inputs } of model_warmup!) {
      t.ok(batch_size <= max_batch_size);
      t.match(inputs, Object.fromEntries(input.map(({ name, data_type, dims }) => [name, { data_type, dims }])));
    }
  }
  for (const { name, output } of configs) {
    const { labels } = await readModelFolder(join(models, name.startsWith('resnet') ? 'resnet' : 'injective'));
    for (const { label_filename, dims } of output.filter((o) => o.label_filename)) {
      const lines = (await readFile(join(repository, name, label_filename!), 'utf8')).trimEnd().split('\n');
      t.same([lines, dims], [labels, [labels.length]]);
    }
  }
  await roundTrip(t, repository, 'injective', { height: 8, width: 8, channels: 3 });
});

t.test('the model that ships comes back exactly from its repository', async (t) => {
  const repository = t.testdir();
  await writeRepository(shipped, repository, settings);
  await roundTrip(t, repository, 'fashion-mnist', { height: 28, width: 28, channels: 1 });
});

/** Runs the files as they lie in the repository. */
async function roundTrip(t: Tap, repository: string, name: string, spec: Parameters<typeof noiseImages>[1]) {
  const open = (model: string) => openSession(join(repository, model, '1', 'model.onnx'), { threads: 1 });
  const [forward, inverse] = [await open(name), await open(`${name}-inverse`)];
  const images = noiseImages(3, spec, 5);
  const pixels = tensor('uint8', [3, spec.height, spec.width, spec.channels], images.pixels);
  const { features } = await forward.run({ pixels }, ['features']);
  const back = await inverse.run({ features: features! }, ['pixels']);
  t.same(back.pixels!.data, images.pixels);
  await forward.release();
  await inverse.release();
}
type Tap = Pick<typeof t, 'same'>;

t.test('an ensemble fits its models; one that does not is found out', async (t) => {
  const repository = t.testdir();
  const names = await writeRepository(shipped, repository, settings);
  const [forward, inverse, ensemble] = await Promise.all(names.map((name) => readTritonConfig(repository, name)));
  const mistakes = (e = ensemble!, f = forward!) => ensembleMistakes(e, [f, inverse!]);
  t.same(mistakes(), []);
  t.match(mistakes({ ...ensemble!, max_batch_size: 65 }), [/smaller batches/]);
  t.match(mistakes(ensemble, { ...forward!, name: 'other' }), [/no model fashion-mnist/]);
  const float = (tensors: readonly ConfigTensor[]) => tensors.map((x) => ({ ...x, data_type: 'TYPE_FP32' }));
  t.match(mistakes({ ...ensemble!, input: float(ensemble!.input) }), [/pixels is TYPE_FP32 .*TYPE_UINT8/]);
  t.match(mistakes({ ...ensemble!, output: float(ensemble!.output) }), [/recovered is TYPE_FP32 .*TYPE_UINT8/]);
  const { step } = ensemble!.ensemble_scheduling!;
  t.match(mistakes({ ...ensemble!, ensemble_scheduling: { step: [...step].reverse() } }), [/nothing gives features/]);
  t.match(mistakes({ ...ensemble!, ensemble_scheduling: { step: step.slice(0, 1) } }), [/nothing makes recovered/]);
});

t.test('every file has one name: readers of ONNX refuse weights that have several', async (t) => {
  const folder = t.testdir();
  const [source, repository] = [join(folder, 'fashion-mnist'), join(folder, 'triton')];
  await cp(shipped, source, { recursive: true });
  for (const name of await writeRepository(source, repository, settings)) {
    for (const file of await readdir(join(repository, name, '1'))) {
      const { nlink, isFile } = await lstat(join(repository, name, '1', file)).then((s) => ({
        nlink: s.nlink,
        isFile: s.isFile(),
      }));
      t.same({ nlink, isFile }, { nlink: 1, isFile: true }, `${name}/${file}`);
    }
  }
  const weights = (model: string) => readFile(join(repository, model, '1', 'weights.bin'));
  const original = await readFile(join(source, 'weights.bin'));
  for (const name of ['fashion-mnist', 'fashion-mnist-inverse']) t.ok(original.equals(await weights(name)), name);
  t.equal((await lstat(join(source, 'weights.bin'))).nlink, 1, 'the model itself as well');
});

t.test('what was written of the model is replaced; what others wrote is left as it is', async (t) => {
  const models = await randomModels(t, {
    model: { config: variants.small! },
    resnet: { architecture: 'resnet', config: miniature.resnet },
  });
  const repository = join(models, 'triton');
  const write = (name = 'model', changed = settings) => writeRepository(join(models, name), repository, changed);
  await write();
  await write('model', { ...settings, batches: [1] });
  t.match(await readTritonConfig(repository, 'model'), { max_batch_size: 1, dynamic_batching: {} });
  t.same((await readdir(repository)).length, 3, 'and nothing else is left');

  const found = await readModelFolder(join(models, 'resnet'));
  const resnet = { ...found, name: 'model', labels: ['two\nlines', ...found.labels.slice(1)] };
  await rm(join(models, 'model'), { recursive: true });
  await cp(join(models, 'resnet'), join(models, 'model'), { recursive: true });
  await writeFile(join(models, 'model', 'manifest.json'), JSON.stringify(resnet));
  t.same(await write(), ['model']);
  t.same(await readdir(repository), ['model'], 'an inverse that is no more is not served');
  t.match(await readFile(join(repository, 'model', 'labels.txt'), 'utf8'), /^two lines\nclass 1\n/);

  for (const taken of ['resnet', 'resnet-inverse', 'resnet-round-trip']) {
    await mkdir(join(repository, taken));
    await writeFile(join(repository, taken, 'config.pbtxt'), 'name: "mine"\n');
    await t.rejects(write('resnet'), {
      message: new RegExp(`triton/${taken} exists and was not written of this model`),
    });
    t.same((await readdir(repository)).sort(), ['model', taken], 'nothing was written');
    t.equal(await readFile(join(repository, taken, 'config.pbtxt'), 'utf8'), 'name: "mine"\n');
    await rm(join(repository, taken), { recursive: true });
  }
});

t.test('by the command line', async (t) => {
  const repository = t.testdir();
  const triton = ['--triton', repository];
  const gpu = await cli('export', 'fashion-mnist', ...triton);
  t.match(gpu, { code: 0, stderr: '', stdout: `${join(repository, 'fashion-mnist')}\n` });
  t.match(await readTritonConfig(repository, 'fashion-mnist'), {
    max_batch_size: 64,
    instance_group: [{ kind: 'KIND_GPU' }],
  });
  const flags = ['--execution-provider', 'cpu', '--batches', '16,2', '--max-delay', '0.5', '--json'];
  const cpu = await cli('export', 'fashion-mnist', ...triton, ...flags);
  const names = ['fashion-mnist', 'fashion-mnist-inverse', 'fashion-mnist-round-trip'];
  t.same(JSON.parse(cpu.stdout), { repository, models: names });
  const config = await readTritonConfig(repository, 'fashion-mnist');
  t.match(config, {
    max_batch_size: 16,
    instance_group: [{ kind: 'KIND_CPU' }],
    dynamic_batching: { preferred_batch_size: [2, 16], max_queue_delay_microseconds: 500 },
  });
  t.notOk('optimization' in config || 'parameters' in config, 'a CPU has no use for options of CUDA');

  const refused: [code: number, message: RegExp, ...args: string[]][] = [
    [20, /nope\/manifest\.json cannot be read/, 'nope', ...triton],
    [
      2,
      /'--triton <folder>' cannot be used with option '--random-weights'/,
      'irevnet-b',
      '--random-weights',
      ...triton,
    ],
    [2, /'--batches <sizes>' needs --triton/, 'irevnet-b', '--random-weights', '--batches', '1'],
    [2, /--batches.*expected a whole number of at least 1/, 'fashion-mnist', ...triton, '--batches', '8,0'],
    [
      2,
      /--execution-provider.*Allowed choices are cuda, cpu, auto/,
      'fashion-mnist',
      ...triton,
      '--execution-provider',
      'tpu',
    ],
  ];
  for (const [code, message, ...args] of refused) {
    t.match(await call('export', ...args), { code, stdout: '', stderr: message });
  }
});

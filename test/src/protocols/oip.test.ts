import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import t from 'tap';
import { version } from '../../../export/files/package.js';
import type { Manifest } from '../../../export/model/manifest.js';
import type { TensorName } from '../../../export/model/signature.js';
import { readConfig } from '../../../src/common/config.js';
import { modelOf } from '../../../src/engine/engine.js';
import type { Job } from '../../../src/engine/job.js';
import { buildApp } from '../../../src/http/app.js';
import { appOn, randomModels, service } from '../../helpers/app.js';
import { miniature, someImages, variants } from '../../helpers/networks.js';
import {
  asBinary,
  featuresInput,
  type Inference,
  infer,
  type Json,
  nested,
  pixelsInput,
  readAnswer,
  withTail,
} from '../../helpers/oip.js';
import { throughMessages } from '../../helpers/triton.js';

const { engine } = await service(t);
const images = await someImages('test');
/** The first test images, row by row. */
const pixels = (count: number) => Uint8Array.from(images.pixels.subarray(0, count * 784));
const json = (count: number) => ({ ...pixelsInput(count), data: [...pixels(count)] });

t.test('the server and its models', async (t) => {
  const { app } = await appOn(t, engine);
  const server = {
    name: 'irevnet',
    version,
    extensions: ['binary_tensor_data', 'model_configuration', 'model_repository'],
  };
  for (const url of ['/v2', '/v2/']) t.same((await app.inject(url)).json(), server);
  t.same((await app.inject('/v2/health/live')).json(), { live: true });
  t.same((await app.inject('/v2/health/ready')).json(), { ready: true });
  for (const url of ['/v2/models/fashion-mnist', '/v2/models/fashion-mnist/versions/1']) {
    t.same((await app.inject(url)).json(), {
      name: 'fashion-mnist',
      versions: ['1'],
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'pixels', datatype: 'UINT8', shape: [-1, 28, 28, 1] }],
      outputs: [
        { name: 'features', datatype: 'FP32', shape: [-1, 256, 2, 2] },
        { name: 'logits', datatype: 'FP32', shape: [-1, 10] },
        { name: 'image', datatype: 'FP32', shape: [-1, 1, 28, 28] },
      ],
    });
    t.same((await app.inject(`${url}/ready`)).json(), { name: 'fashion-mnist', ready: true });
  }
  t.same((await app.inject('/v2/models/fashion-mnist-inverse')).json(), {
    name: 'fashion-mnist-inverse',
    versions: ['1'],
    platform: 'onnxruntime_onnx',
    inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 256, 2, 2] }],
    outputs: [
      { name: 'pixels', datatype: 'UINT8', shape: [-1, 28, 28, 1] },
      { name: 'image', datatype: 'FP32', shape: [-1, 1, 28, 28] },
    ],
  });
});

t.test('the configuration of a model, by which Triton’s clients prepare their requests', async (t) => {
  const { app } = await appOn(t, engine, { maxImages: 32 });
  const config = async (path: string) => (await app.inject(`/v2/models/${path}/config`)).json();
  t.same(await config('fashion-mnist'), {
    name: 'fashion-mnist',
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    version_policy: { latest: { num_versions: 1 } },
    max_batch_size: 32,
    input: [{ name: 'pixels', data_type: 'TYPE_UINT8', dims: [28, 28, 1], format: 'FORMAT_NHWC' }],
    output: [
      { name: 'features', data_type: 'TYPE_FP32', dims: [256, 2, 2] },
      { name: 'logits', data_type: 'TYPE_FP32', dims: [10] },
      { name: 'image', data_type: 'TYPE_FP32', dims: [1, 28, 28] },
    ],
  });
  t.match(await config('fashion-mnist-inverse/versions/1'), {
    name: 'fashion-mnist-inverse',
    input: [{ name: 'features', data_type: 'TYPE_FP32', dims: [256, 2, 2], format: 'FORMAT_NCHW' }],
  });
  t.match(await config('none'), { error: /there is no model "none"/i });
  t.match(await config('fashion-mnist/versions/2'), { error: /has no version "2"/ });
  for (const name of ['fashion-mnist', 'fashion-mnist-inverse'])
    t.same(throughMessages(await config(name)), await config(name), 'every field is one of Triton’s');
});

t.test('null is nothing, wherever something may be left out', async (t) => {
  const { app } = await appOn(t, engine);
  const plain = readAnswer(await infer(app, 'fashion-mnist', { body: { inputs: [json(1)] } }));
  const none = { binary_data_output: null, shared_memory_region: null, classification: null, content_type: null };
  for (const parameters of [null, none]) {
    const inputs = [{ ...json(1), parameters: parameters && { binary_data_size: null } }];
    const outputs = ['features', 'logits', 'image'].map((name) => ({
      name,
      parameters: parameters && { binary_data: null },
    }));
    for (const wanted of [null, outputs]) {
      const body = { id: null, parameters, inputs, outputs: wanted };
      t.same(readAnswer(await infer(app, 'fashion-mnist', { body })).head, plain.head);
    }
  }
  const raw = { ...asBinary(pixelsInput(1), pixels(1)), data: null };
  t.same(readAnswer(await infer(app, 'fashion-mnist', withTail({ inputs: [raw] }, pixels(1)))).head, plain.head);
});

t.test('the request of the protocol’s text, and its answer', async (t) => {
  const { app } = await appOn(t, engine);
  const body = { id: '42', inputs: [json(2)], outputs: [{ name: 'logits' }] };
  for (const type of ['application/json', 'text/plain']) {
    const reply = await app.inject({
      method: 'POST',
      url: '/v2/models/fashion-mnist/infer',
      headers: { 'content-type': type },
      payload: JSON.stringify(body),
    });
    t.match(reply, { statusCode: 200, headers: { 'content-type': /^application\/json/ } });
    t.notOk('inference-header-content-length' in reply.headers);
    const { outputs, ...rest } = reply.json();
    t.same(rest, { model_name: 'fashion-mnist', model_version: '1', id: '42' });
    t.match(outputs, [{ name: 'logits', datatype: 'FP32', shape: [2, 10] }]);
    t.equal(outputs[0].data.length, 20);
  }
});

t.test('Φ⁻¹ of Φ through JSON alone: every float arrives, every pixel comes back', async (t) => {
  const { app } = await appOn(t, engine);
  const input = { type: 'uint8', dims: [5, 28, 28, 1], data: pixels(5) } as const;
  const names = ['features', 'logits', 'image'] as const;
  const expected = await engine.run({ model: modelOf(engine), graph: 'forward', input, outputs: names });
  for (const data of [[...input.data], nested(input.data, input.dims)]) {
    const body = { inputs: [{ ...pixelsInput(5), data }] };
    const { head } = readAnswer(await infer(app, 'fashion-mnist', { body }));
    t.same(
      head.outputs.map(({ name }) => name),
      names,
      'all by default, in the order of the model',
    );
    t.notOk('id' in head);
    for (const { name, shape, data } of head.outputs) {
      const { dims, data: floats } = expected[name as (typeof names)[number]];
      t.same(shape, dims);
      t.same(
        new Uint32Array(Float32Array.from(data!).buffer),
        new Uint32Array(floats.slice().buffer),
        `${name}, bit for bit`,
      );
    }
    const features = head.outputs[0]!;
    const given = {
      ...featuresInput(5),
      data: Array.isArray(data[0]) ? nested(features.data!, features.shape) : features.data,
    };
    const back = readAnswer(await infer(app, 'fashion-mnist-inverse/versions/1', { body: { inputs: [given] } }));
    t.same(back.head.model_name, 'fashion-mnist-inverse');
    t.same(back.head.outputs[0]!.data, input.data);
    const image = new Uint32Array(Float32Array.from(back.head.outputs[1]!.data!).buffer);
    t.same(image, new Uint32Array(expected.image.data.slice().buffer), 'the image, bit for bit');
  }
});

t.test('Φ⁻¹ of Φ as raw bytes over a socket, wherever they lie in the body', async (t) => {
  const { app } = await appOn(t, engine);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const ask = async (model: string, { headers, payload }: Inference) => {
    const reply = await fetch(`http://127.0.0.1:${port}/v2/models/${model}/infer`, {
      method: 'POST',
      headers,
      body: new Uint8Array(payload),
    });
    t.equal(reply.status, 200);
    t.equal(reply.headers.get('content-type'), 'application/octet-stream');
    const rawPayload = Buffer.from(await reply.arrayBuffer());
    t.equal(Number(reply.headers.get('content-length')), rawPayload.length);
    return readAnswer({ statusCode: 200, headers: Object.fromEntries(reply.headers), rawPayload });
  };
  const outputs = (name: string) => [{ name, parameters: { binary_data: true } }];
  for (const id of ['a', 'ab', 'abc', 'abcd']) {
    const body = { id, inputs: [asBinary(pixelsInput(3), pixels(3))], outputs: outputs('features') };
    const there = await ask('fashion-mnist', withTail(body, pixels(3)));
    t.match(there.head, {
      id,
      outputs: [{ name: 'features', datatype: 'FP32', shape: [3, 256, 2, 2], parameters: { binary_data_size: 12288 } }],
    });
    t.notOk('data' in there.head.outputs[0]!);
    const features = there.tensors.features!;
    const request = { id, inputs: [asBinary(featuresInput(3), features)], outputs: outputs('pixels') };
    const back = await ask('fashion-mnist-inverse', withTail(request, features));
    t.same(back.tensors.pixels, pixels(3));
  }
});

t.test('raw bytes in and JSON out, JSON in and raw bytes out, some of each', async (t) => {
  const { app } = await appOn(t, engine);
  const plain = readAnswer(await infer(app, 'fashion-mnist', { body: { inputs: [json(2)] } }));
  const values = plain.head.outputs.map(({ data }) => Float32Array.from(data!));
  const ask = async (parameters: Json, outputs?: readonly Json[], input: Json = json(2), tail?: Uint8Array) => {
    const request = withTail({ inputs: [input], parameters, ...(outputs && { outputs }) }, ...(tail ? [tail] : []));
    return readAnswer(await infer(app, 'fashion-mnist', request));
  };
  const fromRaw = await ask({}, undefined, asBinary(pixelsInput(2), pixels(2)), pixels(2));
  t.same(fromRaw.head, plain.head);
  const allRaw = await ask({ binary_data_output: true });
  t.same(
    ['features', 'logits', 'image'].map((name) => new Float32Array(allRaw.tensors[name]!.buffer)),
    values,
  );
  const some = await ask({ binary_data_output: true }, [
    { name: 'image' },
    { name: 'logits', parameters: { binary_data: false } },
    { name: 'features', parameters: { binary_data: true } },
  ]);
  t.same(
    some.head.outputs.map(({ name, data, parameters }) => [name, data?.length ?? parameters!.binary_data_size]),
    [
      ['image', 2 * 784 * 4],
      ['logits', 20],
      ['features', 2 * 1024 * 4],
    ],
    'in the order in which they are asked for',
  );
  t.same(new Float32Array(some.tensors.features!.buffer), values[0]);
  t.same(new Float32Array(some.tensors.image!.buffer), values[2]);
  const none = await ask({ binary_data_output: false, priority: 1, mine: 'x' }, []);
  t.same(none.head, plain.head, 'an empty list is all; parameters that are not known have no effect');
});

t.test('a body of nothing but the input’s bytes', async (t) => {
  const { app } = await appOn(t, engine);
  const raw = (payload: Uint8Array) => ({
    headers: { 'inference-header-content-length': '0', 'content-type': 'application/octet-stream' },
    payload: Buffer.from(payload),
  });
  const there = readAnswer(await infer(app, 'fashion-mnist', raw(pixels(4))));
  t.same(Object.keys(there.tensors), ['features', 'logits', 'image']);
  const back = readAnswer(await infer(app, 'fashion-mnist-inverse', raw(there.tensors.features!)));
  t.same(back.tensors.pixels, pixels(4));
  t.same(back.tensors.image, there.tensors.image);
  for (const bytes of [783, 785, 1]) {
    const reply = await infer(app, 'fashion-mnist', raw(new Uint8Array(bytes)));
    t.match(reply.json().error, new RegExp(`is ${bytes}; the shape \\[\\d, 28, 28, 1\\] takes (784|1568)`));
  }
});

t.test('only what is asked for is computed, and counted before it is read', async (t) => {
  const jobs: Job<TensorName, Manifest>[] = [];
  const run: typeof engine.run = (job) => {
    jobs.push(job);
    return engine.run(job);
  };
  const app = await buildApp(readConfig({}, {}), { ...engine, run }, pino({ level: 'silent' }));
  t.teardown(() => app.close());
  await infer(app, 'fashion-mnist', { body: { inputs: [json(2)], outputs: [{ name: 'logits' }] } });
  t.match(jobs, [{ model: { name: 'fashion-mnist' }, graph: 'forward', outputs: ['logits'] }]);
  const stages = jobs[0]!.work!.timeline!.spans.map(({ stage }) => stage);
  t.same(stages, ['read', 'decode', 'decode', 'queue', 'inference', 'encode']);
  await infer(app, 'fashion-mnist', withTail({ inputs: [asBinary(pixelsInput(1), pixels(1))] }, pixels(1)));
  const { data } = jobs[1]!.input;
  t.equal(Object.getPrototypeOf(data), Uint8Array.prototype, 'no Buffer, whose slice would be no copy');
  t.ok(data.buffer.byteLength > data.byteLength, 'raw bytes stay where they arrived');
});

t.test('what a model says of its tensors is what it takes and gives', async (t) => {
  const models = await randomModels(t, {
    colour: { config: variants['colour, initial ψ 4']! },
    injective: { config: variants['injective, no initial ψ']! },
  });
  const { app } = await service(t, { models, model: 'colour' });
  for (const name of ['colour', 'colour-inverse', 'injective', 'injective-inverse']) {
    const { inputs, outputs } = (await app.inject(`/v2/models/${name}`)).json();
    const [input] = inputs;
    const shape = [2, ...input.shape.slice(1)];
    const data = new Array(shape.reduce((a, b) => a * b)).fill(0);
    const { head } = readAnswer(await infer(app, name, { body: { inputs: [{ ...input, shape, data }] } }));
    t.same(
      head.outputs.map(({ data, ...described }) => described),
      outputs.map((o: { shape: number[] }) => ({ ...o, shape: [2, ...o.shape.slice(1)] })),
    );
  }
});

t.test('names: a model’s own comes first, and only what has an inverse has one', async (t) => {
  const tiny = { architecture: 'irevnet', config: miniature.irevnet };
  const models = await randomModels(t, {
    a: tiny,
    'a-inverse': tiny,
    resnet: { architecture: 'resnet', config: miniature.resnet },
  });
  const { app } = await service(t, { models, model: 'a' });
  const input = async (name: string) => (await app.inject(`/v2/models/${name}`)).json().inputs[0].name;
  t.same(await Promise.all(['a', 'a-inverse', 'a-inverse-inverse', 'resnet'].map(input)), [
    'pixels',
    'pixels',
    'features',
    'pixels',
  ]);
  for (const url of ['', '/ready', '/versions/1']) {
    const reply = await app.inject(`/v2/models/resnet-inverse${url}`);
    t.equal(reply.statusCode, 404);
    t.match(reply.json().error, /^There is no model "resnet-inverse"; there is (?=.*\ba\b)(?=.*\bresnet\b)/);
  }
});

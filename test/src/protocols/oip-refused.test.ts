import type { InjectOptions } from 'fastify';
import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { appOn, form, randomModels, service } from '../../helpers/app.js';
import { miniature } from '../../helpers/networks.js';
import {
  asBinary,
  featuresInput,
  infer,
  type Json,
  nested,
  pixelsInput,
  readAnswer,
  withTail,
} from '../../helpers/oip.js';

const { engine } = await service(t);
const zeros = (count: number): number[] => new Array<number>(count).fill(0);
const floats = (fill = 0.5): number[] => new Array<number>(1024).fill(fill);
const pixels = (count: number) => new Uint8Array(count * 784);
const json = (count: number) => ({ ...pixelsInput(count), data: zeros(count * 784) });
const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const text = (payload: string) => ({ headers: {}, payload: Buffer.from(payload) });
const withLength = (length: string, payload: Uint8Array | string = JSON.stringify({ inputs: [json(1)] })) => ({
  headers: { 'inference-header-content-length': length },
  payload: Buffer.from(payload as string),
});
/** A request for one image with something about its input changed. */
const changed = (input: Json, request: Json = {}) => ({ body: { inputs: [{ ...json(1), ...input }], ...request } });
const changedFeatures = (input: Json, request: Json = {}) => ({
  body: { inputs: [{ ...featuresInput(1), data: floats(), ...input }], ...request },
});
const at = (data: readonly unknown[], i: number, value: unknown) => data.map((v, k) => (k === i ? value : v));
const shared = { shared_memory_region: 'r', shared_memory_byte_size: 784 };

type Mistake = readonly [error: RegExp, request: Parameters<typeof infer>[2], model?: string];

/** Requests that a client might send, with what they get to hear. */
const mistakes: Readonly<Record<number, readonly Mistake[]>> = {
  400: [
    [/no body; expected JSON/, text('')],
    [/cannot be read as JSON: Unexpected/, text('hello')],
    [/cannot be read as JSON: .*NaN/, text('{"inputs": [{"data": [NaN]}]}')],
    [/cannot be read as JSON: /, text('{"inputs": [')],
    [/body is an array; expected an object/, text('[]')],
    [/body is null; expected an object/, text('null')],
    [/inputs is missing; expected an array/, text('{}')],
    [/inputs is an object/, { body: { inputs: {} } }],
    [/inputs\[0\] is 7; expected an object/, { body: { inputs: [7, 8] } }],
    [/id is 42; expected a string/, changed({}, { id: 42 })],
    [/inputs is null; expected an array/, { body: { inputs: null } }],
    [/data of the input pixels is null; expected an array/, changed({ data: null })],
    [/parameters of the request is "x"; expected an object/, changed({}, { parameters: 'x' })],
    [
      /binary_data_output is "true"; expected true or false/,
      changed({}, { parameters: { binary_data_output: 'true' } }),
    ],
    [/input pixels is missing/, { body: { inputs: [] } }],
    [/name of inputs\[0\] is "image"; expected pixels/, changed({ name: 'image' })],
    [/name of inputs\[0\] is missing; expected pixels/, changed({ name: undefined })],
    [/name of inputs\[1\] is "features"; expected pixels/, { body: { inputs: [json(1), featuresInput(1)] } }],
    [/input pixels is there twice/, { body: { inputs: [json(1), json(1)] } }],
    [/datatype of the input pixels is "FP32"; expected UINT8/, changed({ datatype: 'FP32' })],
    [/datatype of the input pixels is missing; expected UINT8/, changed({ datatype: undefined })],
    [
      /datatype of the input features is "FP16"; expected FP32/,
      changedFeatures({ datatype: 'FP16' }),
      'fashion-mnist-inverse',
    ],
    [/shape of the input pixels is missing; expected an array/, changed({ shape: undefined })],
    [/shape of pixels has 3 axes; expected \[N, 28, 28, 1\]/, changed({ shape: [28, 28, 1] })],
    [/shape of pixels has 10000 axes/, changed({ shape: new Array(10000).fill(1) })],
    [/axis 0 of the shape of pixels is -1; expected a whole number/, changed({ shape: [-1, 28, 28, 1] })],
    [/axis 0 of the shape of pixels is 1.5/, changed({ shape: [1.5, 28, 28, 1] })],
    [/axis 0 of the shape of pixels is "1"/, changed({ shape: ['1', 28, 28, 1] })],
    [/axis 0 of the shape of pixels is 1e\+300/, changed({ shape: [1e300, 28, 28, 1] })],
    [/shape of pixels is \[1, 1, 28, 28\]; expected \[N, 28, 28, 1\]/, changed({ shape: [1, 1, 28, 28] })],
    [/shape of pixels is \[1, 4294967296, 4294967296, 1\]/, changed({ shape: [1, 2 ** 32, 2 ** 32, 1] })],
    [/has no images; expected at least 1/, changed({ shape: [0, 28, 28, 1], data: [] })],
    [/data of the input pixels is missing; expected an array/, changed({ data: undefined })],
    [/data of the input pixels is an object/, changed({ data: { 0: 1 } })],
    [/data is an array of 783; expected an array of 784/, changed({ data: zeros(783) })],
    [/data is an array of 784; expected an array of 1568/, changed({ shape: [2, 28, 28, 1] })],
    [/data is an array of 0;/, changed({ data: [] })],
    [/data is an array of 2; expected an array of 1,/, changed({ data: nested(pixels(2), [2, 28, 28, 1]) })],
    [
      /data\[0\] is an array of 27; expected an array of 28/,
      changed({ data: nested(pixels(1).subarray(28), [1, 27, 28, 1]) }),
    ],
    [/data\[0\]\[3\] is 5; expected an array of 28/, changed({ data: [at(nested(zeros(784), [28, 28, 1]), 3, 5)] })],
    [/data\[0\]\[0\]\[0\]\[0\] is an array; expected a whole/, changed({ data: nested(pixels(1), [1, 28, 28, 1, 1]) })],
    [/data\[5\] is an array; expected a whole number from 0 to 255/, changed({ data: at(zeros(784), 5, [1]) })],
    [/data\[5\] is 256; expected a whole number from 0 to 255/, changed({ data: at(zeros(784), 5, 256) })],
    [/data\[5\] is -1;/, changed({ data: at(zeros(784), 5, -1) })],
    [/data\[5\] is 0.5;/, changed({ data: at(zeros(784), 5, 0.5) })],
    [/data\[5\] is "1";/, changed({ data: at(zeros(784), 5, '1') })],
    [/data\[5\] is true;/, changed({ data: at(zeros(784), 5, true) })],
    [/data\[5\] is null;/, changed({ data: at(zeros(784), 5, null) })],
    [/data\[5\] is an object;/, changed({ data: at(zeros(784), 5, {}) })],
    [/data\[5\] is null; expected a number/, changedFeatures({ data: at(floats(), 5, null) }), 'fashion-mnist-inverse'],
    [/number 5 of the features is Infinity/, changedFeatures({ data: at(floats(), 5, 1e39) }), 'fashion-mnist-inverse'],
    [/number 0 of image is NaN.*binary/, changedFeatures({ data: floats(3e38) }), 'fashion-mnist-inverse'],
    [/parameters of the input pixels is an array/, changed({ parameters: [] })],
    [
      /binary_data_size of the input pixels is "784"/,
      changed({ data: undefined, parameters: { binary_data_size: '784' } }),
    ],
    [/binary_data_size of the input pixels is -1/, changed({ data: undefined, parameters: { binary_data_size: -1 } })],
    [/has data and binary_data_size/, changed({ parameters: { binary_data_size: 784 } })],
    [/0 bytes follow the JSON; expected 784/, changed({ data: undefined, parameters: { binary_data_size: 784 } })],
    [
      /783 bytes follow the JSON; expected 784/,
      withTail({ inputs: [asBinary(pixelsInput(1), pixels(1))] }, pixels(1).subarray(1)),
    ],
    [
      /785 bytes follow the JSON; expected 784/,
      withTail({ inputs: [asBinary(pixelsInput(1), pixels(1))] }, pixels(1), new Uint8Array(1)),
    ],
    [/784 bytes follow the JSON; expected 0/, withTail({ inputs: [json(1)] }, pixels(1))],
    [
      /is 784; the shape \[2, 28, 28, 1\] takes 1568/,
      withTail({ inputs: [asBinary(pixelsInput(2), pixels(1))] }, pixels(1)),
    ],
    [
      /number 1023 of the features is NaN/,
      withTail(
        { inputs: [asBinary(featuresInput(1), new Uint8Array(4096))] },
        new Uint8Array(new Float32Array(1024).fill(Number.NaN, 1023).buffer),
      ),
      'fashion-mnist-inverse',
    ],
    [/Content-Length is "x"; expected how many of the body's \d+ bytes/, withLength('x')],
    [/Content-Length is "-1"/, withLength('-1')],
    [/Content-Length is "1e3"/, withLength('1e3')],
    [/Content-Length is "999999"/, withLength('999999')],
    [/cannot be read as JSON/, withLength('20')],
    [/no body/, withLength('0', '')],
    [/outputs is "logits"; expected an array/, changed({}, { outputs: 'logits' })],
    [/outputs\[0\] is "logits"; expected an object/, changed({}, { outputs: ['logits'] })],
    [
      /name of outputs\[0\] is "probabilities"; model fashion-mnist gives features, logits, image/,
      changed({}, { outputs: [{ name: 'probabilities' }] }),
    ],
    [/name of outputs\[0\] is "pixels"; model fashion-mnist gives/, changed({}, { outputs: [{ name: 'pixels' }] })],
    [/name of outputs\[0\] is "toString"/, changed({}, { outputs: [{ name: 'toString' }] })],
    [/output logits is asked for twice/, changed({}, { outputs: [{ name: 'logits' }, { name: 'logits' }] })],
    [
      /binary_data of the output logits is 1; expected true or false/,
      changed({}, { outputs: [{ name: 'logits', parameters: { binary_data: 1 } }] }),
    ],
    [
      /input pixels has the parameter shared_memory_region: shared memory is not supported/,
      changed({ data: undefined, parameters: shared }),
    ],
    [
      /output logits has the parameter shared_memory_region: shared/,
      changed({}, { outputs: [{ name: 'logits', parameters: shared }] }),
    ],
    [
      /classification extension is not supported/,
      changed({}, { outputs: [{ name: 'logits', parameters: { classification: 3 } }] }),
    ],
    [/name of inputs\[0\] is an array/, { body: { inputs: [{ name: [[]] }] } }],
    ...[
      `{"inputs": [{"name": ${deep(500_000)}}]}`,
      `{"inputs": [], "id": ${deep(500_000)}}`,
      `{"inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [1, 28, 28, 1], "data": ${deep(500_000)}}]}`,
      deep(500_000),
      '['.repeat(500_000),
      '{"a":'.repeat(500_000),
    ].map((bomb): Mistake => [/nested \d+ deep; at most \d+ is read/, text(bomb)]),
  ],
  404: [
    [/no model "nope"; there is .*fashion-mnist-inverse.*the inverse of each as <name>-inverse/, changed({}), 'nope'],
    [/no model "fashion-mnist-inverse-inverse"/, changed({}), 'fashion-mnist-inverse-inverse'],
    [/model fashion-mnist has no version "2"; expected 1/, changed({}), 'fashion-mnist/versions/2'],
    [/model fashion-mnist-inverse has no version "01"/, changed({}), 'fashion-mnist-inverse/versions/01'],
    [/no route \/v2\/models\/fashion-mnist\/versions\/1\/2\/infer/, changed({}), 'fashion-mnist/versions/1/2'],
  ],
  413: [[/5 images were sent; at most 4/, { body: { inputs: [json(5)] } }]],
  415: [
    [/the body is a form/, await form(['inputs', 'x'])],
    [
      /the body has the Content-Encoding gzip; expected none\. Send the bytes as they are/i,
      { ...text('x'), headers: { 'content-encoding': 'gzip' } },
    ],
  ],
};

t.test('every mistake gets its status and a sentence that helps', async (t) => {
  const { app } = await appOn(t, engine, { maxImages: 4 });
  for (const [status, cases] of Object.entries(mistakes)) {
    for (const [error, request, model = 'fashion-mnist'] of cases) {
      const reply = await infer(app, model, request);
      t.match(reply, { statusCode: Number(status), headers: { 'content-type': /^application\/json/ } }, `${error}`);
      t.same(Object.keys(reply.json()), ['error']);
      t.match(reply.json().error, new RegExp(error, 'i'));
    }
  }
});

t.test('what is wrong before or beside the tensors has the same form', async (t) => {
  let state: Partial<ReturnType<typeof engine.status>> = {};
  const changing = { ...engine, status: () => ({ ...engine.status(), ...state }) };
  const { app, engine: own } = await appOn(t, changing, { maxBytes: 200_000 });
  const failed = async (status: number, error: RegExp, request: InjectOptions) => {
    const reply = await app.inject(request);
    t.match(reply, { statusCode: status, headers: { 'content-type': /^application\/json/ } }, `${error}`);
    t.same(Object.keys(reply.json()), ['error']);
    t.match(reply.json().error, error);
    return reply.headers;
  };
  const url = '/v2/models/fashion-mnist/infer';
  for (const address of ['/v2/nope', '/v2/models?x=1', '/v2/models/fashion-mnist/stats']) {
    await failed(404, /^There is no route \/v2\//, { url: address });
  }
  t.equal((await failed(405, /infer takes POST, not GET/, { url })).allow, 'POST');
  await failed(400, /not encoded correctly/, { url: '/v2/models/%E0%A4%A' });
  await failed(413, /more than 200000 bytes/, { method: 'POST', url, payload: Buffer.alloc(200_001) });
  const other = await app.inject('/v20');
  t.match(other.headers['content-type'], /problem\+json/, 'other addresses keep the form of the service');

  const most = own.admission.enter(255);
  const two = JSON.stringify({ inputs: [json(2)] });
  t.match(await failed(429, /2 more do not fit/, { method: 'POST', url, payload: two }), { 'retry-after': /^\d+$/ });
  most();
  const leave = own.admission.enter(256);
  t.match(await failed(429, /under way/, { method: 'POST', url, payload: '{}' }), { 'retry-after': /^\d+$/ });
  leave();
  state = { draining: true };
  await failed(503, /shut down/, { url: '/v2/health/ready' });
  await failed(503, /shut down/, { url: '/v2/models/fashion-mnist/ready' });
  state = { started: false };
  t.match(await failed(503, /being loaded/, { method: 'POST', url, payload: '{}' }), { 'retry-after': '1' });
  t.equal((await app.inject('/v2/health/live')).statusCode, 200);
});

t.test('an answer that comes too late is given up', async (t) => {
  const { app } = await appOn(t, engine);
  const { headers, payload } = withTail({ inputs: [asBinary(pixelsInput(256), pixels(256))] }, pixels(256));
  const late = { headers: { ...headers, 'irevnet-timeout-ms': '1' }, payload };
  const reply = await infer(app, 'fashion-mnist', late);
  t.equal(reply.statusCode, 504);
  t.match(reply.json(), { error: /took more than 1 ms/ });
});

t.test('more numbers than go through JSON go as raw bytes', async (t) => {
  const { app } = await appOn(t, engine, { maxImages: 2000, maxQueue: 2000 });
  const tooMany = await infer(app, 'fashion-mnist', { body: { inputs: [json(1338)] } });
  t.match(tooMany, { statusCode: 413 }, 'in');
  t.match(tooMany.json().error, /1048992 numbers; at most 1048576/);
  const raw = asBinary(pixelsInput(1025), pixels(1025));
  const out = await infer(
    app,
    'fashion-mnist',
    withTail({ inputs: [raw], outputs: [{ name: 'features' }] }, pixels(1025)),
  );
  t.match(out, { statusCode: 413 }, 'out');
  t.match(out.json().error, /1049600 numbers; at most 1048576/);
});

t.test('numbers that JSON does not have go as raw bytes', async (t) => {
  const { app } = await appOn(t, engine);
  const request = changedFeatures({ data: floats(3e38) }, { parameters: { binary_data_output: true } });
  const { tensors } = readAnswer(await infer(app, 'fashion-mnist-inverse', request));
  t.ok(Number.isNaN(new Float32Array(tensors.image!.buffer)[0]));
});

t.test('no damage to a request is more than the client’s mistake', async (t) => {
  const config = miniature.irevnet;
  const { app } = await service(t, { models: await randomModels(t, { tiny: { config } }), model: 'tiny' });
  const bytes = new Uint8Array(16 * 16 * 3);
  const input = { name: 'pixels', shape: [1, 16, 16, 3], datatype: 'UINT8' };
  const outputs = [{ name: 'logits', parameters: { binary_data: true } }];
  const whole = withTail({ id: 'x', inputs: [asBinary(input, bytes)], outputs, parameters: {} }, bytes);
  const end = whole.payload.length - bytes.length;
  t.equal((await infer(app, 'tiny', whole)).statusCode, 200);
  const random = seeded(3);
  const place = (n: number) => Math.floor(random() * n);
  const counts: Record<number, number> = {};
  for (let i = 0; i < 600; i++) {
    const payload = Buffer.from(whole.payload);
    const [from, to] = [place(end), place(end)];
    const kind = i % 3;
    if (kind === 0) payload[from] = 0x20 + place(0x5f);
    if (kind === 1) payload.copy(payload, from, to, Math.min(end, to + 12));
    const { statusCode } = await infer(app, 'tiny', {
      ...whole,
      payload: kind === 2 ? payload.subarray(0, from) : payload,
    });
    counts[statusCode] = (counts[statusCode] ?? 0) + 1;
  }
  t.same(Object.keys(counts), ['200', '400'], JSON.stringify(counts));
});

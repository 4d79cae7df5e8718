import { readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import ts from 'typescript';
import { parse } from 'yaml';
import { packagePath, packageRoot } from '../../../export/files/package.js';
import { openapiYaml } from '../../../src/http/openapi.js';
import { service } from '../../helpers/app.js';
import { diagnosticsOf } from '../../helpers/compiler.js';
import { greyPixels } from '../../helpers/images.js';
import { dataPath } from '../../helpers/networks.js';
import { generatedTypes, operationOf, readOpenApi } from '../../helpers/openapi.js';

const text = await readFile(packagePath('openapi.yaml'), 'utf8');
const document = await readOpenApi();
const { app } = await service(t, { workers: 1, datasets: `clothes=${dataPath('fashion-mnist')}` });
const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));

t.test('openapi.yaml is what the routes say', async (t) => {
  t.equal(await openapiYaml(), text, 'npm run openapi writes it anew');
});

t.test('readers of YAML 1.1 and 1.2 read the same', async (t) => {
  t.same(parse(text, { version: '1.1' }), parse(text));
  t.notMatch(text, /[&*]a\d+$/m, 'no aliases');
  const served = (await app.inject('/docs/yaml')).payload;
  t.same(parse(served, { version: '1.1' }), (await app.inject('/docs/json')).json());
});

t.test('every operation has a name of its own, and every reply a description', async (t) => {
  const ids = operations.map(({ operationId }) => operationId);
  for (const id of ids) t.match(id, /^[a-z][a-zA-Z]+$/);
  t.equal(new Set(ids).size, ids.length);
  t.same(
    document.servers.map(({ url }) => url),
    ['http://127.0.0.1:8080'],
  );
  for (const { operationId, responses } of operations) {
    t.same(Object.keys(responses), [operationId === 'startAnalysis' ? '202' : '200', 'default'], operationId);
    for (const { description } of Object.values(responses)) t.not(description, 'Default Response', operationId);
    t.ok(responses.default!.headers?.['Retry-After'], `${operationId} may ask for patience`);
  }
});

t.test('JSON is described as JSON, and headers that are read or sent are there', async (t) => {
  for (const { operationId, parameters = [], requestBody, responses } of operations) {
    const contents = [requestBody?.content, ...Object.values(responses).map(({ content }) => content)];
    for (const content of contents)
      t.not(content?.['application/json']?.schema.type, 'string', `${operationId}: JSON is no text`);
    const headers = parameters.filter((parameter) => parameter.in === 'header').map(({ name }) => name);
    const expected = requestBody ? ['Irevnet-Timeout-Ms'] : [];
    if (operationId.endsWith('Infer')) expected.push('Inference-Header-Content-Length');
    t.same(headers, expected, operationId);
  }
});

/** What every-route.ts gives, as far as it is looked at here: its own types are checked when it has been generated. */
interface Replies {
  readonly classified: { readonly predictions: unknown };
  readonly inferred: { readonly outputs: readonly { readonly data: readonly number[] }[] };
  readonly decoded: Blob;
  readonly inverted: Blob;
  readonly strip: Blob;
  readonly raw: Blob;
  readonly oip: Readonly<Record<string, unknown>>;
}

t.test('a generated client calls every operation', async (t) => {
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const program = await readFile(dataPath('openapi', 'every-route.ts'), 'utf8');
  const folder = t.testdir({ 'paths.ts': await generatedTypes() });
  const path = relative(packageRoot, join(folder, 'every-route.ts')).split('/');
  t.same(diagnosticsOf(program, ...path), []);
  const { outputText } = ts.transpileModule(program, {
    compilerOptions: { module: ts.ModuleKind.ES2022, target: ts.ScriptTarget.ES2022 },
  });
  await writeFile(join(folder, 'every-route.mjs'), outputText);
  const { callEveryRoute } = await import(pathToFileURL(join(folder, 'every-route.mjs')).href);

  const called = new Set<string>();
  /** Sends a request, and looks for what its operation does not describe. */
  const send = async (request: Request): Promise<Response> => {
    const { operation } = operationOf(document, request.method, request.url);
    called.add(operation.operationId);
    const response = await fetch(request);
    const { content, headers = {} } = operation.responses[response.ok ? response.status : 'default']!;
    t.ok(content[response.headers.get('content-type')!.split(';')[0]!], `${operation.operationId} replies so`);
    const described = Object.keys(headers).map((name) => name.toLowerCase());
    const own = [...response.headers.keys()].filter((name) =>
      /^(irevnet|inference)-|^(content-disposition|retry-after)$/.test(name),
    );
    t.same(
      own.filter((name) => !described.includes(name)),
      [],
      `headers of ${operation.operationId}`,
    );
    return response;
  };
  const [sneaker, boot] = (await Promise.all(
    ['sneaker.png', 'ankle-boot.png'].map((name) => readFile(dataPath('images', name))),
  )) as [Buffer, Buffer];
  const blob = (bytes: Buffer) => new Blob([new Uint8Array(bytes)], { type: 'image/png' });
  const replies: Replies = await callEveryRoute(url, send, blob(sneaker), blob(boot));
  t.same([...called].sort(), operations.map(({ operationId }) => operationId).sort());

  t.match(replies.classified.predictions, [
    { top: [{ label: 'Sneaker' }, {}] },
    { top: [{ label: 'Ankle boot' }, {}] },
  ]);
  const pixels = await greyPixels(sneaker);
  for (const picture of [replies.decoded, replies.inverted])
    t.same(await greyPixels(new Uint8Array(await picture.arrayBuffer())), pixels);
  t.same(replies.inferred.outputs[0]!.data, [...pixels]);
  t.ok(Buffer.from(await replies.raw.arrayBuffer()).includes(pixels), 'the raw pixels follow the JSON');
  t.equal(replies.strip.type, 'image/png');
  t.match(replies, {
    name: 'fashion-mnist',
    size: 28,
    analyses: {
      datasets: /clothes/,
      queued: { experiment: 'image', data: 'clothes' },
      events: /event: job\ndata: .*"state":"done"/,
      done: { state: 'done', result: { top: Array } },
      refused: 'unknown-analysis',
    },
    service: {
      live: { status: 'ok' },
      ready: { status: 'ready' },
      metrics: /irevnet_ready 1/,
      refused: 'unknown-model',
    },
    oip: {
      server: { extensions: ['binary_tensor_data', 'model_configuration', 'model_repository'] },
      index: [{ name: 'cifar-10', state: 'READY' }],
      load: /may not load/,
      unload: /may not load/,
      modelReady: { name: 'fashion-mnist-inverse', ready: true },
      refused: /-inverse/,
    },
  });
  t.same(replies.oip.versionConfig, replies.oip.config);
  t.same(replies.oip.versionMetadata, replies.oip.metadata);
});

/**
 * Calls every operation of openapi.yaml with a client of generated types. A test generates `paths.ts` beside a copy of
 * this file, checks the types of both, and runs it.
 */
import createClient from 'openapi-fetch';
import type { paths } from './paths.js';

type Send = (request: Request) => Promise<Response>;

/** A body as a form: each file of a list is a part of its own. */
function asForm(body: object): FormData {
  const form = new FormData();
  for (const [field, files] of Object.entries(body)) for (const file of [files].flat()) form.append(field, file);
  return form;
}

/** A file that is the whole body. */
const asFile = (type: string) => ({ bodySerializer: (file: unknown) => file as Blob, headers: { 'content-type': type } });

interface Reply<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

function ok<T>({ data, error, response }: Reply<T>): T {
  if (data === undefined) throw new Error(`${response.status} ${response.url}: ${JSON.stringify(error)}`);
  return data;
}

export async function callEveryRoute(baseUrl: string, send: Send, a: Blob, b: Blob) {
  const { GET, POST, DELETE } = createClient<paths>({ baseUrl, fetch: send });
  const header = { 'Irevnet-Timeout-Ms': 60_000 };

  const { default: name, models } = ok(await GET('/models'));
  const manifest = ok(await GET('/models/{name}', { params: { path: { name } } }));
  const size: number = manifest.input.height;
  const classified = ok(
    await POST('/classify', {
      params: { query: { model: name, topK: 2, invert: 'no' }, header },
      body: { file: [a, b] },
      bodySerializer: asForm,
    }),
  );
  ok(
    await POST('/reconstruct', {
      params: { query: { model: name, format: 'json' }, header },
      body: { file: [a, b] },
      bodySerializer: asForm,
    }),
  );
  ok(
    await POST('/analyze', {
      params: { query: { model: name, spectrum: false }, header },
      body: { file: [a] },
      bodySerializer: asForm,
    }),
  );
  ok(
    await POST('/metamer', {
      params: { query: { model: name, invert: 'no' }, header },
      body: { a, b },
      bodySerializer: asForm,
    }),
  );
  const encoded = ok(
    await POST('/encode', {
      params: { query: { format: 'npy', invert: 'auto' }, header },
      body: a,
      ...asFile('image/png'),
      parseAs: 'blob',
    }),
  );
  const decoded = ok(
    await POST('/decode', { params: { header }, body: encoded, ...asFile('application/x-npy'), parseAs: 'blob' }),
  );
  const features = ok(
    await POST('/encode', { params: { query: { format: 'json' } }, body: { file: [a] }, bodySerializer: asForm }),
  );
  if (!('data' in features)) throw new Error('this is a file, not JSON');
  const numbers = { shape: features.shape, data: features.data };
  const inverted = ok(await POST('/invert', { params: { query: { format: 'png' } }, body: numbers, parseAs: 'blob' }));
  const strip = ok(
    await POST('/interpolate', {
      params: { query: { steps: 3 }, header },
      body: { a, b },
      bodySerializer: asForm,
      parseAs: 'blob',
    }),
  );
  const request = { experiment: 'image', model: name, data: 'clothes', options: { spectrum: false, channels: 1 } };
  const queued = ok(await POST('/analyses', { params: { header }, body: request }));
  const job = { path: { id: queued.id } };
  const analyses = {
    queued,
    datasets: ok(await GET('/analyses')).datasets.join(),
    events: ok(await GET('/analyses/{id}/events', { params: job, parseAs: 'text' })),
    done: ok(await GET('/analyses/{id}', { params: job })),
    figure: ok(await GET('/analyses/{id}/figure', { params: { ...job, query: { format: 'vl.json' } } })),
    removed: ok(await DELETE('/analyses/{id}', { params: job })),
    refused: (await GET('/analyses/{id}', { params: job })).error?.code,
  };
  const service = {
    live: ok(await GET('/healthz')),
    ready: ok(await GET('/readyz')),
    version: ok(await GET('/version')),
    metrics: ok(await GET('/metrics', { parseAs: 'text' })),
    refused: (await GET('/models/{name}', { params: { path: { name: 'none' } } })).error?.code,
  };

  const path = { model: `${name}-inverse`, version: '1' };
  const input = { name: 'features', datatype: 'FP32', ...numbers };
  const body = { id: 'x', parameters: {}, inputs: [input], outputs: [{ name: 'pixels' }] };
  const inferred = ok(await POST('/v2/models/{model}/infer', { params: { path, header }, body }));
  if (!('outputs' in inferred)) throw new Error('these are raw bytes, not JSON');
  const raw = ok(
    await POST('/v2/models/{model}/versions/{version}/infer', {
      params: { path, header: { ...header, 'Inference-Header-Content-Length': 0 } },
      body: new Blob([new Float32Array(numbers.data)]),
      ...asFile('application/octet-stream'),
      parseAs: 'blob',
    }),
  );
  const oip = {
    server: ok(await GET('/v2')),
    live: ok(await GET('/v2/health/live')),
    ready: ok(await GET('/v2/health/ready')),
    metadata: ok(await GET('/v2/models/{model}', { params: { path } })),
    config: ok(await GET('/v2/models/{model}/config', { params: { path } })),
    modelReady: ok(await GET('/v2/models/{model}/ready', { params: { path } })),
    versionMetadata: ok(await GET('/v2/models/{model}/versions/{version}', { params: { path } })),
    versionConfig: ok(await GET('/v2/models/{model}/versions/{version}/config', { params: { path } })),
    versionReady: ok(await GET('/v2/models/{model}/versions/{version}/ready', { params: { path } })),
    index: ok(await POST('/v2/repository/index', { body: { ready: true } })),
    load: (await POST('/v2/repository/models/{model}/load', { params: { path }, body: {} })).error?.error,
    unload: (await POST('/v2/repository/models/{model}/unload', { params: { path }, body: {} })).error?.error,
    refused: (await GET('/v2/models/{model}', { params: { path: { model: 'none' } } })).error?.error,
  };
  return { name, models, manifest, size, classified, decoded, inverted, strip, analyses, service, inferred, raw, oip };
}

/**
 * A client of the service, over fetch: for Node.js and for web pages.
 *
 * ```js
 * import { readFile, writeFile } from 'node:fs/promises';
 * import { connect, ServiceError } from 'irevnet/client';
 *
 * const service = connect('http://127.0.0.1:8080');
 * const picture = await readFile('picture.png');
 * const { predictions } = await service.classify(picture, { topK: 3 });
 * console.log(predictions[0].top.map(({ label, probability }) => `${label} ${probability.toFixed(3)}`));
 *
 * const features = await service.encode(picture); // { model, shape: [1, C, H, W], data: Float32Array }
 * const png = await service.decode(features); // the picture again, as the model saw it
 * await writeFile('back.png', new Uint8Array(await png.arrayBuffer()));
 *
 * await service.classify(new Uint8Array(10)).catch((error) => {
 *   if (error instanceof ServiceError) console.log(error.status, error.code, error.detail);
 * });
 * ```
 */

import { errorOf } from './error.js';
import { eventsOf } from './events.js';
import { type FloatArray, readNpy, writeNpy } from './npy.js';
import type {
  Analyses,
  Analysis,
  AnalysisFigureOptions,
  AnalysisRequest,
  AnalysisResult,
  Classification,
  ClassifyOptions,
  DecodeOptions,
  Features,
  ImageOptions,
  InterpolateOptions,
  Metamers,
  Model,
  Models,
  Readiness,
  Reconstruction,
  Recoveries,
  RequestOptions,
  Upload,
  Version,
} from './types.js';

export { ServiceError } from './error.js';
export { type FloatArray, readNpy, writeNpy } from './npy.js';
export type * from './types.js';

export interface ConnectOptions {
  /** Sent with every request, where the service asks for one. */
  readonly apiKey?: string | undefined;
  /** Used in place of the global fetch. */
  readonly fetch?: typeof fetch | undefined;
}

const NPY = 'application/x-npy';

/** Every method rejects with `ServiceError` when the service refuses, and with fetch's own error when it cannot be reached. */
export interface Client {
  /** Labels and probabilities of pictures. */
  classify(pictures: Upload | readonly Upload[], options?: ClassifyOptions): Promise<Classification>;
  /** Features Φ(x) of pictures. */
  encode(pictures: Upload | readonly Upload[], options?: ImageOptions): Promise<Features>;
  /** Images Φ⁻¹(y) of features, by default with the model that computed them. */
  decode<Format extends 'png' | 'npy' | 'json' = 'png'>(
    features: FloatArray & { readonly model?: string },
    options?: DecodeOptions<Format>,
  ): Promise<Recoveries[Format]>;
  /** Images on the line between the features of two pictures. */
  interpolate<Format extends keyof Recoveries = 'png'>(
    a: Upload,
    b: Upload,
    options?: InterpolateOptions<Format>,
  ): Promise<Recoveries[Format]>;
  /** Encodes pictures, decodes their features, and compares. */
  reconstruct(pictures: Upload | readonly Upload[], options?: ImageOptions): Promise<Reconstruction>;
  /** Queues an experiment. */
  startAnalysis(request: AnalysisRequest, options?: RequestOptions): Promise<Analysis>;
  /** Analyses that are kept, the newest first, and what can be asked for. */
  analyses(options?: RequestOptions): Promise<Analyses>;
  /** An analysis with its result, which is null until it is done. */
  analysis(id: string, options?: RequestOptions): Promise<AnalysisResult>;
  /** An analysis now, and again when it has changed, until it is over or removed, or the service ends. */
  followAnalysis(id: string, options?: RequestOptions): AsyncGenerator<Analysis, void>;
  /** The figure of an analysis that is done. */
  analysisFigure(id: string, options?: AnalysisFigureOptions): Promise<Blob>;
  /** Cancels an analysis, or removes one that is over. Resolves with what it then is, or was. */
  deleteAnalysis(id: string, options?: RequestOptions): Promise<Analysis>;
  /** Two pictures that the classifier cannot tell from a: b moved to its logits, and a with its places permuted. */
  metamer(a: Upload, b: Upload, options?: ImageOptions): Promise<Metamers>;
  models(options?: RequestOptions): Promise<Models>;
  model(name: string, options?: RequestOptions): Promise<Model>;
  /** Resolves when every model is loaded; the error's code is `not-ready` before. */
  ready(options?: RequestOptions): Promise<Readiness>;
  version(options?: RequestOptions): Promise<Version>;
}

interface Request extends RequestOptions {
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: FormData | Uint8Array<ArrayBuffer> | string;
  /** Media type of a body that is not a form. */
  readonly type?: string;
  /** By default that of a request with a body, or without one. */
  readonly method?: 'DELETE';
}

/**
 * A client of the service at an address.
 * @param url the service's address; its path is kept, for a service behind a proxy
 */
export function connect(url: string | URL, { apiKey, fetch = globalThis.fetch }: ConnectOptions = {}): Client {
  const base = `${url}`.replace(/\/*$/, '/');

  async function send(path: string, { query = {}, body, type, signal, method }: Request): Promise<Response> {
    const address = new URL(path, base);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) address.searchParams.set(name, `${value}`);
    }
    const headers = new Headers(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` });
    if (type !== undefined) headers.set('content-type', type);
    const response = await fetch(address, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers,
      body: body ?? null,
      signal: signal ?? null,
    });
    if (!response.ok) throw await errorOf(response);
    return response;
  }

  const json = async <T>(path: string, request: Request = {}): Promise<T> =>
    (await (await send(path, request)).json()) as T;

  return {
    classify: (pictures, { signal, ...query } = {}) =>
      json('classify', { query, signal, body: form({ file: [pictures].flat() as Upload[] }) }),

    async encode(pictures, { signal, ...query } = {}) {
      const body = form({ file: [pictures].flat() as Upload[] });
      const response = await send('encode', { query: { ...query, format: 'npy' }, signal, body });
      return { model: response.headers.get('irevnet-model')!, ...readNpy(await bytesOf(response)) };
    },

    async decode<Format extends 'png' | 'npy' | 'json' = 'png'>(
      features: FloatArray & { readonly model?: string },
      { signal, model = features.model, format = 'png' as Format }: DecodeOptions<Format> = {},
    ) {
      const body = writeNpy(features);
      return recovery(await send('decode', { query: { model, format }, signal, body, type: NPY }), format);
    },

    async interpolate<Format extends keyof Recoveries = 'png'>(
      a: Upload,
      b: Upload,
      { signal, format = 'png' as Format, ...query }: InterpolateOptions<Format> = {},
    ) {
      const body = form({ a: [a], b: [b] });
      return recovery(await send('interpolate', { query: { ...query, format }, signal, body }), format);
    },

    reconstruct: (pictures, { signal, ...query } = {}) =>
      json('reconstruct', {
        query: { ...query, format: 'json' },
        signal,
        body: form({ file: [pictures].flat() as Upload[] }),
      }),

    startAnalysis: (request, options) =>
      json('analyses', { ...options, body: JSON.stringify(request), type: 'application/json' }),
    analyses: (options) => json('analyses', options),
    analysis: (id, options) => json(analysisPath(id), options),
    async *followAnalysis(id, options = {}) {
      yield* eventsOf<Analysis>(await send(`${analysisPath(id)}/events`, options));
    },
    analysisFigure: async (id, { signal, ...query } = {}) =>
      (await send(`${analysisPath(id)}/figure`, { query, signal })).blob(),
    deleteAnalysis: (id, options) => json(analysisPath(id), { ...options, method: 'DELETE' }),
    metamer: (a, b, { signal, ...query } = {}) => json('metamer', { query, signal, body: form({ a: [a], b: [b] }) }),

    models: (options) => json('models', options),
    model: (name, options) => json(`models/${encodeURIComponent(name)}`, options),
    ready: (options) => json('readyz', options),
    version: (options) => json('version', options),
  };
}

const analysisPath = (id: string): string => `analyses/${encodeURIComponent(id)}`;

function form(fields: Readonly<Record<string, readonly Upload[]>>): FormData {
  const data = new FormData();
  for (const [name, files] of Object.entries(fields)) {
    for (const file of files)
      data.append(
        name,
        file instanceof Blob ? file : new Blob([file as ArrayBuffer | Uint8Array<ArrayBuffer>]),
        'picture',
      );
  }
  return data;
}

const bytesOf = async (response: Response): Promise<Uint8Array> => new Uint8Array(await response.arrayBuffer());

/** Recovered images in the format that was asked for. */
async function recovery<Format extends keyof Recoveries>(
  response: Response,
  format: Format,
): Promise<Recoveries[Format]> {
  const readers: { readonly [F in keyof Recoveries]: () => Promise<Recoveries[F]> } = {
    png: () => response.blob(),
    gif: () => response.blob(),
    npy: async () => readNpy(await bytesOf(response)),
    json: () => response.json() as Promise<Recoveries['json']>,
  };
  return readers[format]();
}

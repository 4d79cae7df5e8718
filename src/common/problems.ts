import { FormatError, type FormatProblem } from '../../export/formats/errors.js';

/** What clients are told about a kind of failure: its HTTP status, a short title and what to do about it. */
interface Kind {
  readonly status: number;
  readonly title: string;
  readonly advice: string;
}

/** Every failure that a client can see, by its stable code. */
export const problems = {
  'body-empty': { status: 400, title: 'Empty upload', advice: 'Send the bytes of a file.' },
  'too-many-bytes': { status: 413, title: 'Too many bytes', advice: 'Send fewer or smaller files in one request.' },
  'too-many-parts': { status: 413, title: 'Too many parts', advice: 'Spread the files over several requests.' },
  'too-many-images': { status: 413, title: 'Too many images', advice: 'Spread them over several requests.' },
  'missing-part': { status: 400, title: 'Missing part', advice: 'With curl, a file is sent as -F field=@path.' },
  'wrong-field': {
    status: 400,
    title: 'Wrong field',
    advice: 'Settings such as model go into the query, not the form.',
  },
  'multipart-malformed': {
    status: 400,
    title: 'Malformed multipart body',
    advice: 'Let the HTTP client build the form and its boundary.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'Unsupported media type',
    advice: 'Name the type of the body in Content-Type.',
  },
  'body-encoded': {
    status: 415,
    title: 'Compressed body',
    advice: 'Send the bytes as they are, without Content-Encoding.',
  },
  'json-too-large': {
    status: 413,
    title: 'Too many numbers for JSON',
    advice: 'Use npy, safetensors or binary tensor data, or fewer images.',
  },
  'not-acceptable': {
    status: 406,
    title: 'Not acceptable',
    advice: 'Change the Accept header or name a format in the query.',
  },
  'not-an-image': { status: 400, title: 'Not an image', advice: 'Send a JPEG, PNG, WebP, GIF, TIFF or AVIF file.' },
  'image-type-unsupported': {
    status: 415,
    title: 'Unsupported image type',
    advice: 'Convert it to JPEG, PNG, WebP, GIF, AVIF, or TIFF of 8 or 16 bits.',
  },
  'image-truncated': { status: 400, title: 'Truncated image', advice: 'Upload the whole file again.' },
  'image-corrupt': { status: 400, title: 'Damaged image', advice: 'Open and save it again with an image program.' },
  'too-many-pixels': { status: 413, title: 'Too many pixels', advice: 'Scale the image down first.' },
  'features-malformed': {
    status: 400,
    title: 'Not features',
    advice: 'Send what /encode returned: .npy, safetensors or JSON {"shape": …, "data": …}.',
  },
  'features-name': { status: 400, title: 'No such tensor', advice: 'Name the tensor "features", or store only one.' },
  'features-rank': { status: 400, title: 'Wrong rank', advice: 'Features have four axes: [N, C, H, W].' },
  'features-shape': {
    status: 400,
    title: 'Wrong shape',
    advice: 'GET /models/{name} gives the shape that a model expects.',
  },
  'features-dtype': { status: 400, title: 'Wrong element type', advice: 'Cast to float32 first.' },
  'features-byte-order': { status: 400, title: 'Wrong byte order', advice: 'Store the numbers little-endian ("<f4").' },
  'features-length': {
    status: 400,
    title: 'Wrong length',
    advice: 'The header and the data disagree: write the file again.',
  },
  'features-nan': { status: 400, title: 'NaN in the features', advice: 'Every feature must be a finite number.' },
  'features-infinite': {
    status: 400,
    title: 'Infinity in the features',
    advice: 'Every feature must be a finite float32 number.',
  },
  'features-overflow': {
    status: 422,
    title: 'Features too large',
    advice: 'Send features as /encode gives them for this model.',
  },
  'format-single-image': {
    status: 400,
    title: 'Format holds one image',
    advice: 'Ask for npy or json, or send one at a time.',
  },
  'steps-out-of-range': {
    status: 400,
    title: 'steps is out of range',
    advice: 'steps counts the frames, both ends included.',
  },
  'top-k-out-of-range': { status: 400, title: 'topK is out of range', advice: 'topK is at most the number of labels.' },
  'query-invalid': { status: 400, title: 'Invalid query', advice: '/docs lists the parameters.' },
  'unknown-model': {
    status: 404,
    title: 'Unknown model',
    advice:
      'GET /models lists the models; /v2 serves the inverse of each as <name>-inverse. A new one in the models folder is taken in by SIGHUP, or by POST /v2/repository/models/{name}/load.',
  },
  'model-unavailable': {
    status: 503,
    title: 'Model cannot be served',
    advice: 'Name another model, or mend this one and load it again.',
  },
  'load-failed': {
    status: 422,
    title: 'Model cannot be loaded',
    advice: 'Mend it, or export it again, and load it once more.',
  },
  'default-model': {
    status: 409,
    title: 'The default model stays',
    advice: 'To serve another one by default, start the service with --model.',
  },
  'model-control-off': {
    status: 403,
    title: 'Model control is off',
    advice: 'Start the service with --model-control-mode explicit, or send its process SIGHUP.',
  },
  'not-invertible': {
    status: 422,
    title: 'Model has no inverse',
    advice: 'Name an invertible one with the parameter model.',
  },
  'inverse-untrusted': {
    status: 503,
    title: 'Inverse failed its self-test',
    advice: 'Export the model with another grid, or use a model whose weights invert.',
  },
  'unknown-experiment': { status: 404, title: 'Unknown experiment', advice: 'GET /analyses lists the experiments.' },
  'unknown-dataset': {
    status: 404,
    title: 'Unknown data set',
    advice: 'GET /analyses lists the data sets; the operator names others with --datasets.',
  },
  'option-invalid': {
    status: 400,
    title: 'Invalid option',
    advice: 'GET /analyses has the options of every experiment.',
  },
  'analysis-malformed': {
    status: 400,
    title: 'Malformed analysis',
    advice: 'Send JSON: {"experiment": "inversion", "data": "fashion-mnist", "options": {"limit": 1000}}.',
  },
  'unknown-analysis': {
    status: 404,
    title: 'Unknown analysis',
    advice: 'GET /analyses lists those that are kept; the oldest go first.',
  },
  'analysis-unfinished': {
    status: 409,
    title: 'There is no figure',
    advice: 'GET /analyses/{id} tells the state and the error; a figure is there when the state is done.',
  },
  'analysis-queue-full': {
    status: 429,
    title: 'Too many analyses wait',
    advice: 'Try again after the seconds in Retry-After, or cancel one that waits.',
  },
  'analyses-off': {
    status: 403,
    title: 'Analyses are off',
    advice: 'Start the service with --analysis-workers 1, or run irevnet analyze.',
  },
  'analysis-storage': {
    status: 507,
    title: 'The analysis cannot be stored',
    advice: 'The operator makes room, or names another folder with --analyses.',
  },
  'unknown-route': { status: 404, title: 'Unknown route', advice: '/docs lists the routes.' },
  'method-not-allowed': { status: 405, title: 'Method not allowed', advice: 'The Allow header lists the methods.' },
  'request-malformed': {
    status: 400,
    title: 'Malformed request',
    advice: 'Check the address, the headers and the length of the body.',
  },
  'request-timeout': { status: 408, title: 'Request took too long to arrive', advice: 'Send it again.' },
  'headers-too-large': { status: 431, title: 'Headers too large', advice: 'Send fewer or shorter headers.' },
  'internal-error': {
    status: 500,
    title: 'Internal error',
    advice: 'Try again; if it stays, report it with the request id.',
  },
  overloaded: { status: 429, title: 'Overloaded', advice: 'Try again after the seconds in Retry-After.' },
  'rate-limited': { status: 429, title: 'Too many requests', advice: 'Try again after the seconds in Retry-After.' },
  unauthorized: { status: 401, title: 'Unauthorized', advice: 'Send one of its keys as Authorization: Bearer <key>.' },
  'not-ready': { status: 503, title: 'Not ready', advice: 'GET /readyz answers 200 once every model is loaded.' },
  draining: { status: 503, title: 'Shutting down', advice: 'Send it to another instance, or again after a restart.' },
  'worker-lost': { status: 503, title: 'Worker lost twice', advice: 'Try again; if it stays, report the request id.' },
  'timeout-invalid': {
    status: 400,
    title: 'Invalid timeout',
    advice: 'The header Irevnet-Timeout-Ms is a whole number of milliseconds.',
  },
  'answer-timeout': { status: 504, title: 'Timed out', advice: 'Try again later or with fewer images.' },
  'inference-malformed': {
    status: 400,
    title: 'Malformed inference request',
    advice: 'GET /v2/models/{model} gives the names, types and shapes of the tensors.',
  },
  'unknown-version': { status: 404, title: 'Unknown version', advice: 'Every model here has the version 1 alone.' },
} as const satisfies Record<string, Kind>;

export type ProblemCode = keyof typeof problems;

export const problemCodes = Object.keys(problems) as ProblemCode[];

/** A reason to refuse a request. */
export interface Reason {
  readonly code: ProblemCode;
  readonly message: string;
  /** Seconds after which another try is worth it. */
  readonly retryAfter?: number | undefined;
}

/** A failure that a client may be told about. The message says what was wrong and what was expected. */
export class Problem extends Error implements Reason {
  override readonly name = 'Problem';
  readonly retryAfter: number | undefined;
  constructor(
    readonly code: ProblemCode,
    message: string,
    options: ErrorOptions & { readonly retryAfter?: number | undefined } = {},
  ) {
    super(message, options);
    this.retryAfter = options.retryAfter;
  }
}

export const problemOf = ({ code, message, retryAfter }: Reason): Problem => new Problem(code, message, { retryAfter });

const formatCodes: Readonly<Record<FormatProblem, ProblemCode>> = {
  empty: 'body-empty',
  malformed: 'features-malformed',
  name: 'features-name',
  rank: 'features-rank',
  dtype: 'features-dtype',
  'byte-order': 'features-byte-order',
  length: 'features-length',
  nan: 'features-nan',
  infinite: 'features-infinite',
  'too-large': 'json-too-large',
};

/** The problem that a client is told of for an error; undefined when the error is not the client's fault. */
export function problemFrom(error: unknown): Problem | undefined {
  if (error instanceof FormatError) return new Problem(formatCodes[error.problem], error.message, { cause: error });
  return error instanceof Problem ? error : undefined;
}

/** Problem details as in RFC 9457. */
export interface ProblemDetails {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ProblemCode;
  requestId?: string;
}

/** The body that a client gets. */
export function problemDetails(code: ProblemCode, message: string, requestId?: string): ProblemDetails {
  const { status, title, advice } = problems[code];
  const detail = `${sentence(message)} ${advice}`;
  return { type: `urn:irevnet:problem:${code}`, title, status, detail, code, ...(requestId && { requestId }) };
}

const sentence = (text: string): string =>
  `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;

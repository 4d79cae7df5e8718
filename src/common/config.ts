import { isAbsolute, join, resolve } from 'node:path';
import { Option } from 'commander';
import { type Static, type TSchema, Type } from 'typebox';
import { Check } from 'typebox/value';
import { packageRoot } from '../../export/files/package.js';

/** Where graphs run: worker threads of this process, or servers that speak the Open Inference Protocol. */
export const backends = ['local', 'oip'] as const;

/** What worker threads compute on. */
export const executionProviders = ['cpu', 'cuda', 'auto'] as const;

/** Whether Φ⁻¹ is loaded at the start or when it is first needed; auto: at the start where its weights are small. */
export const preloads = ['auto', 'forward', 'both'] as const;
export type Preload = (typeof preloads)[number];

/** Whether a model that cannot be used is left out, or ends the start. */
export const modelErrors = ['skip', 'exit'] as const;

/** Whether clients may load and unload models. Named as Triton does. */
export const modelControls = ['none', 'explicit'] as const;

/** What the workers are arranged for: many images a second, or an early answer to one. */
export const aims = ['throughput', 'latency'] as const;

/** Every setting: type, default, range and meaning. Names of flags and variables are derived from the keys. */
export const Config = Type.Object({
  host: Type.String({ default: '127.0.0.1', minLength: 1, description: 'address to listen on' }),
  port: Type.Integer({
    default: 8080,
    minimum: 0,
    maximum: 65535,
    description: 'port to listen on; 0 takes a free one',
  }),
  models: Type.String({
    default: 'onnx',
    minLength: 1,
    description: 'folder of model folders; the default lies in the package',
  }),
  model: Type.String({ default: 'fashion-mnist', minLength: 1, description: 'model used where none is named' }),
  onModelError: Type.Enum([...modelErrors], {
    default: 'skip',
    description:
      'what the service does at its start about a model that cannot be used, unless it is --model. skip: serves the others; exit: ends',
  }),
  modelControlMode: Type.Enum([...modelControls], {
    default: 'none',
    description:
      'who may load and unload models while the service runs. none: SIGHUP alone; explicit: clients too, by /v2/repository',
  }),
  maxBytes: Type.Integer({
    default: 20 * 2 ** 20,
    minimum: 1024,
    maximum: 2 ** 30,
    description: 'bytes in the body of a request',
  }),
  maxPixels: Type.Integer({ default: 50e6, minimum: 1, maximum: 1e9, description: 'pixels of an uploaded image' }),
  maxImages: Type.Integer({
    default: 256,
    minimum: 2,
    maximum: 65536,
    description: 'images, or feature maps, in a request',
  }),
  maxSteps: Type.Integer({ default: 64, minimum: 2, maximum: 4096, description: 'frames of an interpolation' }),
  maxBatch: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 4096,
    description: 'images that a worker takes at once; 0: as many as the model gains by',
  }),
  maxDelay: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 10_000,
    description: 'milliseconds that images wait for others to fill a batch',
  }),
  maxQueue: Type.Integer({
    default: 256,
    minimum: 1,
    maximum: 1e6,
    description: 'images accepted and not yet answered; more are refused with 429',
  }),
  optimize: Type.Enum([...aims], {
    default: 'throughput',
    description: 'what workers and threads are chosen for where they are 0: a worker a core, or one on all cores',
  }),
  workers: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 64,
    description:
      'worker threads, each with every model loaded, or batches under way to each server of --backend-url; 0 leaves it to --optimize',
  }),
  threads: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 256,
    description: 'threads a worker computes with; 0 shares out the cores',
  }),
  executionProvider: Type.Enum([...executionProviders], {
    default: 'cpu',
    description:
      'what computes. cuda: NVIDIA GPUs, or the service does not start; auto: those where they work, else the CPU',
  }),
  devices: Type.String({
    default: '0',
    pattern: '^\\d{1,3}(,\\d{1,3})*$',
    words: 'numbers between commas, as 0,1',
    description: 'GPUs that CUDA uses',
  }),
  batchBuckets: Type.String({
    default: '',
    pattern: '^[1-9]\\d{0,3}(,[1-9]\\d{0,3})*$',
    words: 'sizes between commas, as 1,8,64',
    description:
      'sizes that batches are padded up to; on CUDA each has sessions of its own. The default is none on the CPU, and 1,8,64 on CUDA',
  }),
  backend: Type.Enum([...backends], {
    default: 'local',
    description: 'where graphs run: in this process, or by the Open Inference Protocol on the servers of --backend-url',
  }),
  backendUrl: Type.String({
    default: '',
    description: 'base URLs of servers that run the models (Triton, KServe, irevnet), between commas',
  }),
  backendKey: Type.String({ default: '', secret: true, description: 'API key that those servers ask for' }),
  preload: Type.Enum([...preloads], {
    default: 'auto',
    description:
      'graphs loaded at the start. forward: Φ⁻¹ when it is first needed; auto: both, where the weights are under 64 MiB',
  }),
  timeout: Type.Integer({
    default: 60,
    minimum: 1,
    maximum: 3600,
    description: 'seconds for a request to arrive, and for its answer',
  }),
  headersTimeout: Type.Integer({
    default: 10,
    minimum: 1,
    maximum: 3600,
    description: 'seconds for the headers of a request to arrive',
  }),
  keepAlive: Type.Integer({
    default: 72,
    minimum: 1,
    maximum: 3600,
    description: 'seconds that a connection is kept for another request',
  }),
  hangTimeout: Type.Integer({
    default: 30,
    minimum: 1,
    maximum: 3600,
    description: 'seconds for a batch, after which its worker is replaced',
  }),
  grace: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 3600,
    description: 'seconds from SIGTERM, when /readyz turns to 503, until no more requests are taken',
  }),
  maxConnections: Type.Integer({ default: 2048, minimum: 1, maximum: 1e6, description: 'open connections' }),
  maxBuffer: Type.Integer({
    default: 512 * 2 ** 20,
    minimum: 1024,
    maximum: 2 ** 40,
    description: 'bytes of all request bodies held at once; more are refused with 429',
  }),
  apiKeysFile: Type.String({
    default: '',
    description: 'file with an API key a line; with one, requests need Authorization: Bearer <key>',
  }),
  apiKeys: Type.String({ default: '', secret: true, description: 'API keys, between commas' }),
  rateLimit: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 1e9,
    description: 'requests a minute for each API key, or address where there are no keys; 0: any number',
  }),
  trustProxy: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 16,
    description: "proxies in front, whose X-Forwarded-For tells the client's address",
  }),
  corsOrigins: Type.String({
    default: '',
    description: 'origins, between commas, whose pages may call the service from a browser; * for all',
  }),
  analyses: Type.String({
    default: '',
    description:
      'folder of analyses that clients ask for: their queue, their results and features; it survives a restart. The default is a temporary folder, removed at the end',
  }),
  datasets: Type.String({
    default: '',
    pattern: '^[a-z0-9][a-z0-9._-]{0,63}=[^,]+(,[a-z0-9][a-z0-9._-]{0,63}=[^,]+)*$',
    words: 'name=path between commas, names of lower-case letters, digits, ".", "_" and "-"',
    description: 'data sets for analyses; known ones that lie at their usual place need not be named',
  }),
  analysisWorkers: Type.Integer({
    default: 1,
    minimum: 0,
    maximum: 64,
    description: 'analyses that run at once, each a process of low priority; 0: none are taken',
  }),
  analysisQueue: Type.Integer({
    default: 32,
    minimum: 1,
    maximum: 10_000,
    description: 'analyses that wait; more are refused with 429',
  }),
  analysesKept: Type.Integer({
    default: 100,
    minimum: 1,
    maximum: 10_000,
    description: 'analyses that are kept when they are over; the oldest go first',
  }),
  otlpEndpoint: Type.String({
    default: '',
    variable: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    description: 'base URL of an OpenTelemetry collector (OTLP over HTTP) that traces are sent to',
  }),
  otlpTracesEndpoint: Type.String({
    default: '',
    variable: 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    description: 'URL that traces are sent to, as it is; wins over --otlp-endpoint, to which /v1/traces is added',
  }),
  tracesExporter: Type.String({
    default: '',
    variable: 'OTEL_TRACES_EXPORTER',
    pattern: '^(otlp|none)$',
    words: 'one of otlp, none',
    description: 'none: no traces; otlp: traces without an endpoint too, to http://localhost:4318',
  }),
  otelSdkDisabled: Type.String({
    default: '',
    variable: 'OTEL_SDK_DISABLED',
    pattern: '^([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])$',
    words: 'one of true, false',
    description: 'true: nothing is sent by OpenTelemetry',
  }),
  logLevel: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    default: 'info',
    description: 'least severe log level that is written',
  }),
});
export type Config = Static<typeof Config>;
export type Setting = keyof Config;

/** Settings that cannot be used; the message has one line for each, naming it and what is allowed. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

interface Description {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  /** What a text may be, in words. */
  readonly words?: string;
  /** The environment's name for it, where a standard has one. */
  readonly variable?: string;
  /** Not taken as a flag, which every user of the machine could see. */
  readonly secret?: boolean;
}

const describe = (key: Setting): Description => Config.properties[key] as Description;
const separated = (key: string, separator: string): string => key.replace(/[A-Z]/g, (c) => `${separator}${c}`);

export const settings = Object.keys(Config.properties) as Setting[];
export const isSecret = (key: Setting): boolean => describe(key).secret === true;
export const variableOf = (key: Setting): string =>
  describe(key).variable ?? `IREVNET_${separated(key, '_').toUpperCase()}`;
export const flagOf = (key: Setting): string => `--${separated(key, '-').toLowerCase()}`;

/** What a setting may be, in words: "a whole number from 0 to 65535". */
export function rangeOf(key: Setting): string {
  const { type, minimum, maximum, enum: choices, words } = describe(key);
  if (words) return words;
  if (choices) return `one of ${choices.join(', ')}`;
  return type === 'integer' ? `a whole number from ${minimum} to ${maximum}` : 'a text that is not empty';
}

/** The flag of a setting, for a command that takes it. Its value stays text until `readConfig`. */
export function settingOption(key: Setting): Option {
  const { type, description, default: value, enum: choices, words } = describe(key);
  const range = type === 'integer' || choices || words ? `${rangeOf(key)}; ` : '';
  return new Option(
    `${flagOf(key)} <${type === 'integer' ? 'n' : 'value'}>`,
    `${description} (${range}${value === '' ? '' : `default ${value}; `}${variableOf(key)})`,
  );
}

type Given = Readonly<Partial<Record<string, string>>>;

/**
 * Settings from flags, then the environment, then defaults. An empty variable counts as absent; a relative models folder
 * is taken from the working directory.
 * @throws SettingsError naming every setting that is wrong and its range
 */
export function readConfig(flags: Partial<Record<Setting, string>> = {}, environment: Given = process.env): Config {
  const wrong: string[] = [];
  const entries = settings.map((key) => {
    const variable = environment[variableOf(key)] || undefined;
    const text = flags[key] ?? variable;
    if (text === undefined) return [key, describe(key).default];
    const value = describe(key).type === 'integer' && /^\s*-?\d+\s*$/.test(text) ? Number(text) : text;
    if (!Check(Config.properties[key] as TSchema, value)) {
      const name = flags[key] === undefined ? variableOf(key) : flagOf(key);
      wrong.push(`${name} is ${JSON.stringify(text)}: expected ${rangeOf(key)}`);
    }
    return [key, value];
  });
  if (wrong.length > 0) throw new SettingsError(wrong.join('\n'));
  const config = Object.fromEntries(entries) as Config;
  const given = flags.models ?? (environment[variableOf('models')] || undefined);
  return { ...config, models: given === undefined ? join(packageRoot, config.models) : absolute(given) };
}

/** The whole numbers of a setting that has them between commas. */
export const numbersIn = (text: string): number[] => (text === '' ? [] : text.split(',').map(Number));

const absolute = (path: string): string => (isAbsolute(path) ? path : resolve(path));

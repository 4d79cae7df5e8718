import { bytesOf, type DType, sizeOf, type Tensor, type TypedArray, tensor } from './tensor.js';

/** The element types that are read and written, by the format's own names. */
const types = { F32: 'float32', I64: 'int64', U8: 'uint8', BOOL: 'bool' } as const satisfies Record<string, DType>;
const widths = { F32: 4, I64: 8, U8: 1, BOOL: 1 } as const;
type Code = keyof typeof types;

/** What is wrong with a safetensors file. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
  constructor(
    readonly problem: 'truncated' | 'header' | 'dtype' | 'shape' | 'layout',
    message: string,
  ) {
    super(message);
  }
}

export interface Safetensors {
  readonly tensors: Map<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Writes tensors in the given order. https://github.com/huggingface/safetensors#format */
export function writeSafetensors({ tensors, metadata }: Safetensors): Uint8Array {
  const codes = Object.fromEntries(Object.entries(types).map(([code, type]) => [type, code]));
  let at = 0;
  const entries = [...tensors].map(([name, t]) => {
    const entry = { dtype: codes[t.type], shape: t.dims, data_offsets: [at, at + t.data.byteLength] };
    at += t.data.byteLength;
    return [name, entry] as const;
  });
  const json = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) });
  const header = new TextEncoder().encode(json.padEnd(Math.ceil(new TextEncoder().encode(json).length / 8) * 8));
  const out = new Uint8Array(8 + header.length + at);
  new DataView(out.buffer).setBigUint64(0, BigInt(header.length), true);
  out.set(header, 8);
  let end = 8 + header.length;
  for (const t of tensors.values()) {
    out.set(bytesOf(t), end);
    end += t.data.byteLength;
  }
  return out;
}

const HEADER_LIMIT = 100e6;

/**
 * Reads tensors, trusting nothing in the header.
 * @throws SafetensorsError saying what does not fit
 */
export function readSafetensors(bytes: Uint8Array): Safetensors {
  if (bytes.length < 8)
    throw new SafetensorsError('truncated', `a safetensors file has at least 8 bytes, got ${bytes.length}`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (length > HEADER_LIMIT) throw new SafetensorsError('header', `the header claims ${length} bytes`);
  if (8 + length > bytes.length) {
    throw new SafetensorsError('truncated', `the header claims ${length} bytes, ${bytes.length - 8} follow`);
  }
  const { __metadata__: metadata = {}, ...entries } = parseHeader(bytes.subarray(8, 8 + length));
  const data = bytes.subarray(8 + length);
  const tensors = new Map(Object.entries(entries).map(([name, entry]) => [name, readTensor(name, entry, data)]));
  const used = [...tensors.values()].reduce((sum, t) => sum + t.data.byteLength, 0);
  if (used !== data.length)
    throw new SafetensorsError('layout', `tensors take ${used} bytes of the ${data.length} that follow`);
  return { tensors, metadata: metadata as Record<string, string> };
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new SafetensorsError('header', 'the header is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw new SafetensorsError('header', 'the header is not a JSON object');
  }
  return header as Record<string, unknown>;
}

function readTensor(name: string, entry: unknown, data: Uint8Array): Tensor {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  if (typeof dtype !== 'string' || !Object.hasOwn(types, dtype)) {
    throw new SafetensorsError(
      'dtype',
      `tensor ${name} is ${String(dtype)}; expected one of ${Object.keys(types).join(', ')}`,
    );
  }
  if (!isSizes(shape)) throw new SafetensorsError('shape', `tensor ${name} has no valid shape`);
  if (!isSizes(offsets) || offsets.length !== 2)
    throw new SafetensorsError('layout', `tensor ${name} has no valid data_offsets`);
  const [start, end] = offsets as [number, number];
  const size = sizeOf(shape) * widths[dtype as Code];
  if (!Number.isSafeInteger(size) || start > end || end > data.length || end - start !== size) {
    throw new SafetensorsError(
      'layout',
      `tensor ${name}: [${shape}] takes ${size} bytes, offsets ${start} to ${end} of ${data.length}`,
    );
  }
  const copy = new Uint8Array(data.subarray(start, end));
  const type = types[dtype as Code];
  return tensor(type, shape, view(type, copy));
}

function view(type: DType, bytes: Uint8Array): TypedArray {
  if (type === 'float32') return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  return type === 'int64' ? new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8) : bytes;
}

const isSizes = (v: unknown): v is number[] => Array.isArray(v) && v.every((n) => Number.isSafeInteger(n) && n >= 0);

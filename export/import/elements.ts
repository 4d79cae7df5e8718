/** How an element is stored. Types without `toFloat32` cannot be weights. */
export interface ElementType {
  /** Bytes of an element. */
  readonly width: number;
  /** Converts little-endian elements, rounding to nearest. */
  readonly toFloat32?: (bytes: Uint8Array) => Float32Array;
}

/** Element types by the names that PyTorch gives them. */
export const elementTypes: Readonly<Record<string, ElementType>> = {
  float64: { width: 8, toFloat32: (bytes) => Float32Array.from(new Float64Array(...aligned(bytes, 8))) },
  float32: { width: 4, toFloat32: (bytes) => new Float32Array(...aligned(bytes, 4)) },
  float16: { width: 2, toFloat32: (bytes) => halves(new Uint16Array(...aligned(bytes, 2))) },
  bfloat16: { width: 2, toFloat32: (bytes) => upperHalves(new Uint16Array(...aligned(bytes, 2))) },
  float8_e4m3fn: { width: 1 },
  float8_e5m2: { width: 1 },
  int64: { width: 8 },
  int32: { width: 4 },
  int16: { width: 2 },
  int8: { width: 1 },
  uint64: { width: 8 },
  uint32: { width: 4 },
  uint16: { width: 2 },
  uint8: { width: 1 },
  bool: { width: 1 },
  complex64: { width: 8 },
  complex128: { width: 16 },
  qint8: { width: 1 },
  quint8: { width: 1 },
  qint32: { width: 4 },
};

/** Constructor arguments of a typed array over the bytes; copies bytes that do not start at a multiple of the width. */
function aligned(bytes: Uint8Array, width: number): [ArrayBufferLike, number, number] {
  const { buffer, byteOffset, length } = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  return [buffer, byteOffset, length / width];
}

/** bfloat16 is the upper half of a float32. */
function upperHalves(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = bits[i]! << 16;
  return new Float32Array(out.buffer);
}

let halfTable: Float32Array | undefined;

/** Converts float16 by a table of all its 65,536 values. */
function halves(bits: Uint16Array): Float32Array {
  halfTable ??= Float32Array.from({ length: 1 << 16 }, (_, half) => halfValue(half));
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = halfTable[bits[i]!]!;
  return out;
}

/** IEEE 754 binary16: 1 bit of sign, 5 of exponent, 10 of fraction. */
function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = (half & 1023) / 1024;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -14 : sign * (1 + fraction) * 2 ** (exponent - 15);
}

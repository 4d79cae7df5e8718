/** An array of float32 numbers, row by row: features are [N, C, H, W]. */
export interface FloatArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The magic string \x93NUMPY and version 1.0. */
const MAGIC = [0x93, ...new TextEncoder().encode('NUMPY'), 1, 0];
/** Bytes before the header's text: the magic string and version, and the header's length. */
const PREFIX = MAGIC.length + 2;
/** The data of a .npy file begins at a multiple of this many bytes. */
const ALIGNMENT = 64;

/**
 * Writes a .npy file, version 1.0, little-endian, C order.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 * @throws Error when the data are not as many numbers as the shape says
 */
export function writeNpy({ shape, data }: FloatArray): Uint8Array<ArrayBuffer> {
  checkLength(shape, data.length);
  const sizes = shape.map((size) => `${size},`).join(' ');
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${sizes}), }`;
  const start = Math.ceil((PREFIX + header.length + 1) / ALIGNMENT) * ALIGNMENT;
  const file = new Uint8Array(start + data.byteLength);
  file.set(MAGIC);
  new DataView(file.buffer).setUint16(MAGIC.length, start - PREFIX, true);
  file.set(new TextEncoder().encode(`${header.padEnd(start - PREFIX - 1)}\n`), PREFIX);
  file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start);
  return file;
}

/**
 * Reads a .npy file of little-endian float32 numbers in C order, as the service and NumPy write them.
 * @throws Error for any other file
 */
export function readNpy(file: Uint8Array): FloatArray {
  if (file.length < PREFIX || !MAGIC.every((byte, i) => file[i] === byte)) {
    throw new Error('this is not a .npy file of version 1.0');
  }
  const start = PREFIX + new DataView(file.buffer, file.byteOffset).getUint16(MAGIC.length, true);
  const header = new TextDecoder().decode(file.subarray(PREFIX, start));
  const sizes = /'shape': *\(([\d, ]*)\)/.exec(header)?.[1];
  if (sizes === undefined || !header.includes("'<f4'") || !/'fortran_order': *False/.test(header)) {
    throw new Error(`the .npy file holds ${header.trim()}; expected float32 ('<f4') in C order`);
  }
  const shape = sizes.split(',').flatMap((size) => (size.trim() === '' ? [] : [Number(size)]));
  // A copy of its own: a Float32Array begins at a multiple of four bytes.
  const { buffer, length } = Uint8Array.from(file.subarray(start));
  checkLength(shape, length / Float32Array.BYTES_PER_ELEMENT);
  return { shape, data: new Float32Array(buffer) };
}

function checkLength(shape: readonly number[], length: number): void {
  const expected = shape.reduce((product, size) => product * size, 1);
  if (length !== expected) throw new Error(`shape [${shape}] takes ${expected} numbers; found ${length}`);
}

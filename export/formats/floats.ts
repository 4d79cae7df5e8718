/** Little-endian float32 numbers as an array: a view of the bytes where they are aligned, otherwise a copy. */
export function floatsIn(bytes: Uint8Array): Float32Array {
  const { buffer, byteOffset, length } =
    bytes.byteOffset % Float32Array.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return new Float32Array(buffer, byteOffset, length / Float32Array.BYTES_PER_ELEMENT);
}

/** Markers of JPEG. ITU-T T.81, table B.1 */
const [START_OF_SCAN, END] = [0xda, 0xd9];

/**
 * Counts the scans of a JPEG file, up to `most`. Decoding one visits the whole image, and an attacker can write one in a few
 * bytes; libvips sets no limit.
 */
export function countScans(bytes: Uint8Array, most: number): number {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let scans = 0;
  let at = 2;
  while (scans < most) {
    at = nextMarker(file, at);
    const marker = file[at + 1];
    if (at < 0 || marker === undefined || marker === END) break;
    if (marker === START_OF_SCAN) scans++;
    at += 2 + (at + 4 <= file.length ? file.readUInt16BE(at + 2) : 2);
  }
  return scans;
}

/** The offset of the next marker with a segment: 0xff, but not before 0, 1, 0xff or a restart marker. */
function nextMarker(file: Buffer, from: number): number {
  let at = file.indexOf(0xff, from);
  while (at >= 0 && isData(file[at + 1]!)) at = file.indexOf(0xff, at + 1);
  return at;
}

const isData = (second: number): boolean => second <= 1 || second === 0xff || (second >= 0xd0 && second <= 0xd7);

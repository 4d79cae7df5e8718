/** Markers of JPEG. ITU-T T.81, table B.1 */
const [START_OF_SCAN, END] = [0xda, 0xd9];

/**
 * The scans of a JPEG file, each of which goes over the whole image; counting ends at `most`. A few bytes make one, and
 * libvips does not count them.
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

/** The place of the next marker that a segment follows; 0xff before 0, 1, 0xff or the number of a restart begins none. */
function nextMarker(file: Buffer, from: number): number {
  let at = file.indexOf(0xff, from);
  while (at >= 0 && isData(file[at + 1]!)) at = file.indexOf(0xff, at + 1);
  return at;
}

const isData = (second: number): boolean => second <= 1 || second === 0xff || (second >= 0xd0 && second <= 0xd7);

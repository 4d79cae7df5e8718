import { crc32, inflateRawSync } from 'node:zlib';
import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from 'yauzl';
import { CheckpointFileError, COPY_AGAIN } from '../formats/pickle/errors.js';
import type { Source } from '../formats/pickle/source.js';

/** A file in a zip archive. */
export interface ZipEntry {
  /** Bytes when unpacked. */
  readonly size: number;
  /**
   * Reads bytes of the unpacked file. The first call checks the CRC-32 of the whole entry. A compressed entry is unpacked
   * as a whole. So a large one is refused if less than half of it is read: a small archive could take any memory otherwise.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/**
 * Reads the directory of a zip archive (zip64 too). @returns its entries by name
 * @throws CheckpointFileError when it is truncated or damaged
 */
export async function openZip(source: Source): Promise<ReadonlyMap<string, ZipEntry>> {
  const entries = new Map<string, ZipEntry>();
  try {
    const options = { lazyEntries: true, autoClose: false };
    const zip = await fromRandomAccessReaderPromise(new SourceReader(source), source.size, options);
    for await (const entry of zip.eachEntry()) {
      if (entries.has(entry.fileName)) throw new Error(`two entries are called ${entry.fileName}`);
      entries.set(entry.fileName, zipEntry(source, zip, entry));
    }
  } catch (error) {
    if (error instanceof CheckpointFileError) throw error;
    throw new CheckpointFileError(source.path, `a broken zip archive: ${(error as Error).message}. ${COPY_AGAIN}`);
  }
  return entries;
}

/** Lets yauzl read from the source, which checks every range. */
class SourceReader extends RandomAccessReader {
  constructor(private readonly source: Source) {
    super();
  }
  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    let error: Error | null = null;
    try {
      buffer.set(this.source.read(position, length), offset);
    } catch (caught) {
      error = caught as Error;
    }
    callback(error);
  }
}

const STORED = 0;
const DEFLATED = 8;
/** Largest compressed entry that is read, unpacked in memory. torch.save does not compress, but other zip programs do. */
const MOST_INFLATED = 2 ** 30;
/** Largest compressed entry of which any part is read. */
const SMALL = 2 ** 20;

function zipEntry(source: Source, zip: ZipFile, entry: Entry): ZipEntry {
  const { fileName: name, uncompressedSize: size, compressedSize, compressionMethod: method } = entry;
  const fail = (problem: string) => new CheckpointFileError(source.path, `${name} in the archive ${problem}`);
  const start = async (): Promise<number> => {
    if (entry.isEncrypted()) throw fail('is encrypted. Unpack it and pack it again without a password');
    if (method !== STORED && (method !== DEFLATED || size > MOST_INFLATED)) {
      throw fail(`is compressed (method ${method}, ${size} bytes). Unpack the archive and pack it with zip -0`);
    }
    const header = await zip.readLocalFileHeaderPromise(entry, { minimal: true }).catch((error: Error) => {
      throw error instanceof CheckpointFileError ? error : fail(`is damaged: ${error.message}. ${COPY_AGAIN}`);
    });
    return header.fileDataStart;
  };
  const inflated = (bytes: Uint8Array): Uint8Array => {
    try {
      return inflateRawSync(bytes, { maxOutputLength: Math.max(1, size) });
    } catch (error) {
      throw fail(`cannot be unpacked: ${(error as Error).message}. ${COPY_AGAIN}`);
    }
  };
  const check = (found: number): void => {
    if (found !== entry.crc32)
      throw fail(`has CRC-32 ${hex(found)}, its directory says ${hex(entry.crc32)}. ${COPY_AGAIN}`);
  };
  let checked = false;
  return {
    size,
    async read(offset, length) {
      const at = await start();
      if (offset + length > size) throw fail(`has ${size} bytes, ${offset + length} are expected. ${COPY_AGAIN}`);
      if (method === DEFLATED) {
        if (length < size / 2 && size > SMALL) {
          throw fail(
            `unpacks to ${size} bytes, of which ${length} are used. Unpack the archive and pack it with zip -0`,
          );
        }
        const bytes = inflated(source.read(at, compressedSize));
        check(crc32(bytes));
        return bytes.subarray(offset, offset + length);
      }
      if (!checked) check(crcOf(source, at, size));
      checked = true;
      return source.read(at + offset, length);
    },
  };
}

const BLOCK = 2 ** 20;

function crcOf(source: Source, start: number, size: number): number {
  let crc = 0;
  for (let done = 0; done < size; done += BLOCK)
    crc = crc32(source.read(start + done, Math.min(BLOCK, size - done)), crc);
  return crc;
}

const hex = (crc: number): string => crc.toString(16).padStart(8, '0');

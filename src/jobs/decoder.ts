import type { ImageFile } from '../../export/data/files/files.js';
import type { Decoder } from '../../export/data/source.js';
import type { Manifest } from '../../export/model/manifest.js';
import { isBad } from './index-lines.js';
import type { Item } from './plan.js';
import { openReaders, usualReaders } from './readers.js';

/** Decodes the files of a data set as the service prepares what is uploaded, on threads that start with the first file. */
export function openDecoder(manifest: Pick<Manifest, 'input' | 'preprocessing'>, maxPixels: number): Decoder {
  let opened: ReturnType<typeof openReaders> | undefined;
  return {
    async decode(files) {
      opened ??= openReaders(usualReaders(), { root: '', kind: 'images', manifest, invert: 'auto', maxPixels });
      const { outcomes, data } = await opened.read(files.map(itemOf));
      return {
        pixels: data as Uint8Array,
        problems: outcomes.map((outcome) => (isBad(outcome) ? outcome.detail : null)),
      };
    },
    close: async () => opened?.close(),
  };
}

const itemOf = ({ name, place: { path, from, length } }: ImageFile): Item => ({
  id: name,
  path,
  ...(length !== undefined && { range: [from ?? 0, length] }),
});

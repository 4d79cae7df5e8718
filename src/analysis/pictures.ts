import { Type } from 'typebox';
import { toPng } from '../images/encode.js';
import { sheet, type Tile } from '../images/sheet.js';

/** A picture in a result: a PNG as a data URL, for a figure or a page to show. */
export const Picture = Type.String({ description: 'a PNG, as a data URL' });

/** Rows of tiles as a PNG in a data URL. */
export async function sheetUrl(lines: readonly (readonly Tile[])[]): Promise<string> {
  return `data:image/png;base64,${(await toPng(sheet(lines))).toString('base64')}`;
}

/** Pixels that a picture is wide in a figure. */
const SHOWN = 340;

/** A picture, as a data URL, as a part of a figure. Its size is read from the PNG's header. @param wide in pixels of the figure */
export function pictured(url: string, title: string, subtitle: string, wide = SHOWN): object {
  const header = Buffer.from(url.slice(url.indexOf(',') + 1, url.indexOf(',') + 65), 'base64');
  const [width, height] = [header.readUInt32BE(16), header.readUInt32BE(20)];
  const tall = Math.round((wide * height) / width);
  return {
    title: { text: title, subtitle },
    width: wide,
    height: tall,
    data: { values: [{ url }] },
    // Without a description, the label for screen readers would be the bytes of the picture.
    mark: { type: 'image', width: wide, height: tall, description: title },
    encoding: { url: { field: 'url', type: 'nominal' }, x: { value: wide / 2 }, y: { value: tall / 2 } },
  };
}

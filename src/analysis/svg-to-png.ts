import { buffer } from 'node:stream/consumers';
import sharp from 'sharp';

/**
 * A program: reads an SVG from the standard input and writes a PNG, with as many dots an inch as its argument says. It is a
 * process of its own because the process that decodes uploads must not be able to read SVG at all, whatever an upload is.
 */
const density = Number(process.argv[2]);
process.stdout.write(
  await sharp(await buffer(process.stdin), { density })
    .png()
    .toBuffer(),
);

import sharp from 'sharp';
import t from 'tap';
import { tensor } from '../../../export/graph/tensor.js';
import { drawSvg } from '../../../src/analysis/figure.js';
import { pictured, sheetUrl } from '../../../src/analysis/pictures.js';
import { slim } from '../../../src/report/slim.js';

t.test('an SVG with fewer bytes has the same text, the same shapes and the same pixels', async (t) => {
  const tile = tensor(
    'uint8',
    [28, 28, 3],
    Uint8Array.from({ length: 28 * 28 * 3 }, (_, i) => (i * 31) % 256),
  );
  const url = await sheetUrl([[tile, tile]]);
  const bars = {
    data: {
      values: [
        { a: 1 / 3, b: 'x' },
        { a: 0.71234, b: 'y' },
      ],
    },
    mark: 'bar',
    encoding: { x: { field: 'a', type: 'quantitative' }, y: { field: 'b', type: 'nominal' } },
  };
  const svg = await drawSvg({ hconcat: [pictured(url, 'a', 'b 0.12345'), bars] } as never, { labels: false });
  t.equal(svg.match(/data:image/g)?.length, 1, 'the picture stands there once, not in a label too');
  const less = await slim(svg);
  t.ok(less.length < 0.7 * svg.length, `${svg.length} → ${less.length}`);
  const texts = (text: string) => [...text.matchAll(/<text [^>]*>([^<]*)</g)].map(([, content]) => content);
  t.same(texts(less), texts(svg), 'numbers in texts stay');
  const filled = (text: string) => [...text.matchAll(/fill="[^"]*"/g)].length;
  t.equal(filled(less), filled(svg));
  const webp = Buffer.from(/data:image\/webp;base64,([^"]+)/.exec(less)![1]!, 'base64');
  const png = Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
  const raw = (picture: Buffer) => sharp(picture).removeAlpha().raw().toBuffer();
  t.same(await raw(webp), await raw(png));
});

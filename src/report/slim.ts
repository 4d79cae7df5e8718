import sharp from 'sharp';

/** What Vega writes at every mark, for scripts and screen readers; a report has neither, and labels the whole figure. */
const IDLE =
  / (?:class="[^"]*"|pointer-events="none"|aria-[a-z]+="[^"]*"|role="[^"]*"|font-family="[^"]*"|preserveAspectRatio="[^"]*")/g;
/** Attributes that say what holds without them. */
const USUAL =
  / (?:opacity="1"|stroke-width="1"|text-anchor="start"|font-weight="normal"|[xy]2="0"|transform="translate\(0,0\)")/g;
/** Groups without content, and grounds without a colour. */
const EMPTY = /<path(?: d="[^"]*")?(?: display="none")?\/>|<g><\/g>|<g\/>/g;
const PLACES = / (?:transform|d|x|y|x2|y2|width|height)="[^"]*"/g;
const PICTURE = /data:image\/png;base64,([^"]+)/g;

/** An SVG of Vega with fewer bytes that looks the same: places to a hundredth of a unit, pictures as lossless WebP. */
export async function slim(svg: string): Promise<string> {
  let text = svg
    .replace(PLACES, (places) => places.replace(/(\.\d\d)\d+/g, '$1'))
    .replace(IDLE, '')
    .replace(USUAL, '');
  // What is emptied may leave the group around it empty.
  for (let before = ''; before !== text; ) {
    before = text;
    text = text.replace(EMPTY, '');
  }
  return withWebp(text);
}

async function withWebp(svg: string): Promise<string> {
  const pictures = await Promise.all(
    [...svg.matchAll(PICTURE)].map(async ([, base64]) => {
      const webp = await sharp(Buffer.from(base64!, 'base64')).webp({ lossless: true, effort: 6 }).toBuffer();
      return `data:image/webp;base64,${webp.toString('base64')}`;
    }),
  );
  return svg.replace(PICTURE, () => pictures.shift()!);
}

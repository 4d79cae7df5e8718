import { Problem } from '../../common/problems.js';
import { type Format, mediaTypes } from '../../operations/formats.js';

interface Range {
  readonly type: string;
  readonly q: number;
}

/**
 * Chooses a reply's format: the query's, else what Accept prefers. Undefined when the client has no preference among
 * them, as where it likes nothing better than a web page: browsers, and Java's HttpURLConnection, say so by themselves,
 * and name pictures that they can show. RFC 9110, section 12.5.1.
 * @throws Problem not-acceptable
 */
export function negotiate<F extends Format>(
  formats: readonly F[],
  query: F | undefined,
  accept: string | undefined,
): F | undefined {
  if (query !== undefined || !accept?.trim()) return query;
  const ranges = accept.split(',').map(parseRange);
  const qualities = formats.map((format) => qualityOf(mediaTypes[format], ranges));
  const best = Math.max(...qualities);
  if (best === 0) {
    const types = formats.map((format) => mediaTypes[format]).join(', ');
    throw new Problem('not-acceptable', `nothing matches Accept: ${accept.slice(0, 100)}; this route gives ${types}`);
  }
  const page = qualityOf('text/html', ranges);
  if (page >= best && ['text/html', '*/*'].every((type) => ranges.some((r) => r.type === type && r.q > 0)))
    return undefined;
  return qualities.every((q) => q === best) ? undefined : formats[qualities.indexOf(best)];
}

function parseRange(text: string): Range {
  const [type, ...parameters] = text.split(';').map((s) => s.trim().toLowerCase());
  const q = Number(parameters.find((p) => p.startsWith('q='))?.slice(2) ?? 1);
  // Old versions of Java write * for any type.
  return { type: type === '*' ? '*/*' : type!, q: q >= 0 && q <= 1 ? q : 0 };
}

/** The quality that the most specific matching range gives to a type; 0 when none matches. */
function qualityOf(type: string, ranges: readonly Range[]): number {
  const patterns = [type, `${type.split('/')[0]}/*`, '*/*'];
  for (const pattern of patterns) {
    const range = ranges.find((r) => r.type === pattern);
    if (range) return range.q;
  }
  return 0;
}

import type { Random } from '../../export/data/random.js';
import { between, chance, mutate, pick } from './mutate.js';

export interface Form {
  /** The header Content-Type. */
  readonly type: string;
  readonly body: Buffer;
}

const fields = [
  'file',
  'a',
  'b',
  '',
  '__proto__',
  'constructor',
  'file[]',
  'file"; x="y',
  'f'.repeat(5000),
  '\xff\xfe',
];
const names = ['a.png', '', '../../etc/passwd', 'a".png', 'a\r\nX: y', 'n'.repeat(20_000), '\xff', '%00'];
const boundaries = ['x', '-', '--', "'()+_,-./:=?", 'b'.repeat(70), 'b'.repeat(3000)];
const oddities = [
  'Content-Transfer-Encoding: base64',
  'Content-Type: multipart/mixed; boundary=y',
  'Content-Type: text/plain; charset=utf-16',
  'Content-Type: ;;;',
  'no colon',
  ': no name',
  `X-Long: ${'x'.repeat(100_000)}`,
  'Content-Disposition: attachment',
];

/** A form of files, most of it as it should be, some of it not. */
export function form(random: Random, files: readonly (readonly [field: string, data: Uint8Array])[]): Form {
  const boundary = pick(random, boundaries);
  const newline = chance(random, 0.05) ? '\n' : '\r\n';
  const part = ([field, data]: readonly [string, Uint8Array]) => {
    const name = chance(random, 0.1) ? pick(random, fields) : field;
    const filename = chance(random, 0.05) ? '' : `; filename="${chance(random, 0.1) ? pick(random, names) : 'a.png'}"`;
    const odd = chance(random, 0.1) ? pick(random, oddities) + newline : '';
    const head = `--${boundary}${newline}Content-Disposition: form-data; name="${name}"${filename}${newline}${odd}${newline}`;
    return Buffer.concat([Buffer.from(head, 'latin1'), data, Buffer.from(newline)]);
  };
  const parts = chance(random, 0.05) ? Array.from({ length: between(random, 0, 600) }, () => files[0]!) : files;
  const last = chance(random, 0.1) ? '' : `--${boundary}--${newline}`;
  const body = Buffer.concat([...parts.map(part), Buffer.from(last)]);
  return { type: contentType(random, boundary), body: chance(random, 0.3) ? mutate(body, random) : body };
}

const contentType = (random: Random, boundary: string): string =>
  chance(random, 0.85)
    ? `multipart/form-data; boundary="${boundary}"`
    : pick(random, [
        'multipart/form-data',
        'multipart/form-data; boundary=',
        'multipart/form-data; boundary=other',
        `multipart/form-data; boundary=${boundary}; boundary=other`,
        `multipart/mixed; boundary="${boundary}"`,
        `MULTIPART/FORM-DATA ; BOUNDARY="${boundary}"`,
        'multipart/form-data; charset=utf-7; boundary*=x',
      ]);

import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { buildApp } from '../../src/app.js';
import { type Config, readConfig } from '../../src/config.js';
import { Problem } from '../../src/errors.js';
import { readParts } from '../../src/plugins/multipart.js';
import { type Field, form, raw, service } from '../helpers/app.js';
import { rectangle } from '../helpers/images.js';

const { engine } = await service(t);
const png = await rectangle(28, 28, [0], [200]).toColourspace('b-w').png().toBuffer();

/** A service on a free port. */
async function listening(t: Test, settings: Partial<Config> = {}): Promise<number> {
  const app = await buildApp({ ...readConfig({}, {}), ...settings }, engine, pino({ level: 'silent' }));
  t.teardown(() => app.close());
  await app.listen({ port: 0 });
  return (app.server.address() as AddressInfo).port;
}

function open(t: Test, port: number, ...sent: (string | Buffer)[]): Socket {
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.on('error', () => undefined);
  for (const bytes of sent) socket.write(bytes);
  return socket;
}

const post = (...headers: string[]) =>
  `${['POST /classify HTTP/1.1', 'Host: x', 'Content-Type: image/png', ...headers].join('\r\n')}\r\n\r\n`;

/** What comes back until the connection ends. */
async function reply(socket: Socket): Promise<{ status: number; head: string; code?: string; replies: number }> {
  const all = await text(socket);
  const [head, body] = all.split('\r\n\r\n');
  const replies = all.split('HTTP/1.1 ').length - 1;
  return { status: Number(all.split(' ')[1]), head: head!, code: body && JSON.parse(body).code, replies };
}

t.test('a body that is promised too large is refused before it comes, one without a length when it is', async (t) => {
  const port = await listening(t, { maxBytes: 100_000 });
  const promised = await reply(open(t, port, post('Content-Length: 100001')));
  t.match(promised, { status: 413, code: 'too-many-bytes', head: /connection: close/i });
  const chunk = `${(50_001).toString(16)}\r\n${'x'.repeat(50_001)}\r\n`;
  const chunked = await reply(open(t, port, post('Transfer-Encoding: chunked'), chunk, chunk));
  t.match(chunked, { status: 413, code: 'too-many-bytes', head: /connection: close/i });
  const most = raw(Buffer.alloc(100_000));
  const url = `http://127.0.0.1:${port}/classify`;
  t.match(await fetch(url, { method: 'POST', headers: most.headers, body: most.payload }), { status: 400 });
});

t.test('a body is the same in one piece and in bytes', async (t) => {
  const port = await listening(t);
  const bytes = Array.from(png, (b) => `1\r\n${String.fromCharCode(b)}\r\n`).join('');
  const sent = Buffer.from(`${post('Transfer-Encoding: chunked', 'Connection: close')}${bytes}0\r\n\r\n`, 'latin1');
  t.match(await reply(open(t, port, sent)), { status: 200 });
  const whole = `${post(`Content-Length: ${png.length}`, 'Connection: close')}`;
  t.match(await reply(open(t, port, whole, png)), { status: 200 });
  const { headers, payload } = await form(['file', Buffer.alloc(300_000, 1)], ['file', png]);
  const url = `http://127.0.0.1:${port}/classify`;
  const refused = await fetch(url, { method: 'POST', headers, body: new Uint8Array(payload) });
  t.match(await refused.json(), { code: 'not-an-image', detail: /^File 1 of 2: the 300000 bytes/ });
});

t.test('all bodies together have a limit, and make room when their requests end', async (t) => {
  const port = await listening(t, { maxBuffer: 300_000, maxBytes: 250_000 });
  const url = `http://127.0.0.1:${port}/classify`;
  const send = () => fetch(url, { method: 'POST', body: Buffer.alloc(100_000), headers: raw(png).headers });
  t.equal((await send()).status, 400, 'there is room for it');
  // The memory is doubled as bytes come: 150,000 of them take all that is promised.
  const slow = open(t, port, post('Content-Length: 250000'), Buffer.alloc(150_000));
  let refused = await send();
  while (refused.status === 400) refused = await send();
  t.match(Object.fromEntries(refused.headers), { connection: 'close', 'retry-after': '1' });
  t.match(await refused.json(), { status: 429, code: 'overloaded' });
  slow.destroy();
  while ((await send()).status === 429) await sleep(5);
  for (let i = 0; i < 20; i++) t.equal((await send()).status, 400, 'what has ended is given back');
});

t.test('what only promises bytes holds none', async (t) => {
  const port = await listening(t, { maxBuffer: 1_000_000, maxBytes: 250_000 });
  for (let i = 0; i < 50; i++) open(t, port, post('Content-Length: 250000'), 'x');
  const other = open(t, port, post(`Content-Length: ${png.length}`, 'Connection: close'), png);
  t.match(await reply(other), { status: 200 });
});

t.test('a body, or headers, that do not come to an end in time are cut off', async (t) => {
  const port = await listening(t, { timeout: 1 });
  const socket = open(t, port, post('Content-Length: 1000'));
  const drip = setInterval(() => socket.write('x'), 50);
  t.match(await reply(socket), { status: 408, code: 'request-timeout', replies: 1 });
  clearInterval(drip);
  const other = await listening(t, { headersTimeout: 1, timeout: 600 });
  t.match(await reply(open(t, other, 'GET /healthz HTTP/1.1\r\nHost: ')), { status: 408, code: 'request-timeout' });
});

t.test('what is not read of a refused body is not the next request', async (t) => {
  const port = await listening(t, { apiKeys: 'a-key-of-16-bytes-or-more' });
  const hidden = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
  for (const [path, code] of [
    ['/nope', 'unauthorized'],
    ['/classify', 'unauthorized'],
  ] as const) {
    const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n`;
    t.match(await reply(open(t, port, head, hidden)), { status: 401, code, replies: 1, head: /connection: close/i });
  }
});

t.test('no more connections than are allowed', async (t) => {
  const port = await listening(t, { maxConnections: 2 });
  const kept = [open(t, port), open(t, port)];
  for (const socket of kept) {
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
  }
  t.equal(await text(open(t, port, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')), '', 'the third is closed');
  kept[0]!.destroy();
  await once(kept[0]!, 'close');
  let answer = '';
  while (answer === '')
    answer = await text(open(t, port, 'GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n'));
  t.match(answer, /^HTTP\/1\.1 200/);
});

const TYPE = 'multipart/form-data; boundary=x';
const partsOf = (body: string | Buffer, type = TYPE) =>
  [...readParts(Buffer.isBuffer(body) ? body : Buffer.from(body, 'latin1'), type)].map(({ data, ...part }) => ({
    ...part,
    data: data.toString('latin1'),
  }));
const part = (headers: string, data: string) => `--x\r\n${headers}\r\n\r\n${data}\r\n`;
const NAMED = 'Content-Disposition: form-data; name="a"';

t.test('forms are read as they were written', async (t) => {
  const contents = ['', '\r\n', '--x', '\r\n--', '\r\n--x'.slice(0, 4), 'a\0\r\n\r\n--\r\n', '\xff'.repeat(70_000)];
  const fields: Field[] = contents.map((content, i) => [`file "${i}" ; name=é`, Buffer.from(content, 'latin1')]);
  const { headers, payload } = await form(...fields, ['text', 'value']);
  const read = partsOf(payload, headers['content-type']!);
  t.same(
    read.map(({ data }) => data),
    [...contents, 'value'],
  );
  t.same(
    read.map(({ isFile }) => isFile),
    [...contents.map(() => true), false],
  );
  const one = [{ field: 'a', isFile: true, data: 'b' }];
  const file = `${NAMED}; filename="f"`;
  const ways: Record<string, [string, string?]> = {
    plain: [`${part(file, 'b')}--x--\r\n`],
    'before and after': [`before\r\n${part(file, 'b')}--x--\r\nafter --x`],
    'blanks after the boundary': [`--x \t\r\n${file}\r\n\r\nb\r\n--x--`],
    'a quoted boundary': [
      `${part(file, 'b').replace('--x', '--x y')}--x y--`,
      'multipart/form-data; charset=utf-8; boundary="x y"',
    ],
    'other headers and cases': [
      `${part(`X: 1\r\ncontent-disposition:form-data;FILENAME=f; NAME=a\r\nY: 2`, 'b')}--x--`,
    ],
    'names inside of names': [
      `${part('Content-Disposition: form-data; filename="; name=\\"c\\""; z="; name=d"; name="a"', 'b')}--x--`,
    ],
    'two names': [`${part(`${file}; name="c"`, 'b')}--x--`],
  };
  for (const [name, [body, type]] of Object.entries(ways)) t.same(partsOf(body, type), one, name);
  t.same(partsOf('--x--'), []);
  t.same(partsOf(`--x\r\n${NAMED}\r\n\r\n--x--`), [{ field: 'a', isFile: false, data: '' }], 'no content at all');
});

t.test('forms that are none', async (t) => {
  const wrong: Record<string, [string, string?]> = {
    'no boundary': ['--x--', 'multipart/form-data'],
    'an empty boundary': ['----', 'multipart/form-data; boundary=""'],
    'a boundary of 71 characters': [`--${'x'.repeat(71)}--`, `multipart/form-data; boundary=${'x'.repeat(71)}`],
    'another boundary': ['--y--'],
    'a longer boundary': ['--xy\r\n'],
    'no end': [part(NAMED, 'b')],
    'no end of a part': [`--x\r\n${NAMED}\r\n\r\nb`],
    'no end of headers': [`--x\r\n${NAMED}\r\n`],
    'headers of 9,000 bytes': [`${part(`${NAMED}\r\nX: ${'y'.repeat(9000)}`, 'b')}--x--`],
    'no disposition': [`${part('Content-Type: image/png', 'b')}--x--`],
    'another disposition': [`${part('Content-Disposition: attachment; name="a"', 'b')}--x--`],
    'line breaks without returns': [`${part(NAMED, 'b').replaceAll('\r', '')}--x--`],
  };
  for (const [name, [body, type]] of Object.entries(wrong)) {
    t.throws(() => partsOf(body, type), { name: 'Problem', code: 'multipart-malformed' }, name);
  }
  const whole = `${part(`${NAMED}; filename="f"`, 'b')}${part(NAMED, 'c')}--x--`;
  for (let length = 0; length < whole.length; length++) t.throws(() => partsOf(whole.slice(0, length)), Problem);
});

t.test('a form of many parts is left at the first that is not wanted', async (t) => {
  const port = await listening(t);
  const body = Buffer.from(`${part(`${NAMED}; filename="f"`, 'b').repeat(100_000)}--x--`);
  const url = `http://127.0.0.1:${port}/classify`;
  const refused = await fetch(url, { method: 'POST', headers: { 'content-type': TYPE }, body: new Uint8Array(body) });
  t.match(await refused.json(), { code: 'wrong-field' });
  let read = 0;
  for (const { field } of readParts(body, TYPE)) if (field !== '') if (++read === 3) break;
  t.equal(read, 3);
});

import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Config } from '../../../src/common/config.js';
import { readForm } from '../../../src/http/content/uploads.js';
import { refuseOnSocket, trackReplies } from '../../../src/http/sockets.js';
import { appOn, type Field, form, raw, service } from '../../helpers/app.js';
import { rectangle } from '../../helpers/images.js';

const { engine } = await service(t);
const png = await rectangle(28, 28, [0], [200]).toColourspace('b-w').png().toBuffer();

/** A service on a free port. */
async function listening(t: Test, settings: Partial<Config> = {}): Promise<number> {
  const { app } = await appOn(t, engine, settings);
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

/** All bytes that arrive until the connection closes. */
async function received(socket: Socket): Promise<string> {
  let all = '';
  socket.setEncoding('latin1').on('data', (bytes) => {
    all += bytes;
  });
  await once(socket, 'close');
  return all;
}

async function reply(socket: Socket): Promise<{ status: number; head: string; code?: string; replies: number }> {
  const all = await received(socket);
  const [head, body] = all.split('\r\n\r\n');
  const replies = all.split('HTTP/1.1 ').length - 1;
  return { status: Number(all.split(' ')[1]), head: head!, code: body && JSON.parse(body).code, replies };
}

t.test(
  'a body announced as too large is refused before it arrives, one of unknown length when it is too large',
  async (t) => {
    const port = await listening(t, { maxBytes: 100_000 });
    const promised = await reply(open(t, port, post('Content-Length: 100001')));
    t.match(promised, { status: 413, code: 'too-many-bytes', head: /connection: close/i });
    const chunk = `${(50_001).toString(16)}\r\n${'x'.repeat(50_001)}\r\n`;
    const chunked = await reply(open(t, port, post('Transfer-Encoding: chunked'), chunk, chunk));
    t.match(chunked, { status: 413, code: 'too-many-bytes', head: /connection: close/i });
    const most = raw(Buffer.alloc(100_000));
    const url = `http://127.0.0.1:${port}/classify`;
    t.match(await fetch(url, { method: 'POST', headers: most.headers, body: most.payload }), { status: 400 });
  },
);

t.test('a body may arrive in one chunk or byte by byte', async (t) => {
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

t.test('an expectation that the service does not know changes nothing', async (t) => {
  const port = await listening(t);
  const sent = (length: number) => post(`Content-Length: ${length}`, 'Expect: else', 'Connection: close');
  t.match(await reply(open(t, port, sent(png.length), png)), { status: 200 });
  t.match(await reply(open(t, port, sent(1), 'x')), { status: 400, code: 'not-an-image' });
});

t.test('all bodies together have a limit, and release their memory when their requests end', async (t) => {
  const port = await listening(t, { maxBuffer: 300_000, maxBytes: 250_000 });
  const send = () => reply(open(t, port, post('Content-Length: 100000', 'Connection: close'), Buffer.alloc(100_000)));
  t.match(await send(), { status: 400, code: 'not-an-image' }, 'it fits');
  // The buffer doubles as bytes arrive: 150,000 of them reserve all that the client announced.
  const slow = open(t, port, post('Content-Length: 250000'), Buffer.alloc(150_000));
  let refused = await send();
  while (refused.status === 400) refused = await send();
  t.match(refused, { status: 429, code: 'overloaded', head: /connection: close/i });
  t.match(refused.head, /retry-after: 1/i);
  slow.destroy();
  while ((await send()).status === 429) await sleep(5);
  for (let i = 0; i < 20; i++) t.match(await send(), { status: 400 }, 'ended requests release their memory');
});

t.test('announced bytes reserve no memory', async (t) => {
  const port = await listening(t, { maxBuffer: 1_000_000, maxBytes: 250_000 });
  for (let i = 0; i < 50; i++) open(t, port, post('Content-Length: 250000'), 'x');
  const other = open(t, port, post(`Content-Length: ${png.length}`, 'Connection: close'), png);
  t.match(await reply(other), { status: 200 });
});

t.test('a request whose headers or body arrive too slowly is answered 408', async (t) => {
  const port = await listening(t, { timeout: 1 });
  const socket = open(t, port, post('Content-Length: 1000'));
  const drip = setInterval(() => socket.write('x'), 50);
  t.match(await reply(socket), { status: 408, code: 'request-timeout', replies: 1 });
  clearInterval(drip);
  const other = await listening(t, { headersTimeout: 1, timeout: 600 });
  t.match(await reply(open(t, other, 'GET /healthz HTTP/1.1\r\nHost: ')), { status: 408, code: 'request-timeout' });
});

t.test('the rest of a refused body is not taken for the next request', async (t) => {
  const port = await listening(t, { apiKeys: 'a-key-of-16-bytes-or-more' });
  const get = (...headers: string[]) => ['GET /healthz HTTP/1.1', 'Host: x', ...headers, '', ''].join('\r\n');
  const head = (...headers: string[]) => ['POST /classify HTTP/1.1', 'Host: x', ...headers, '', ''].join('\r\n');
  const hidden = get().padEnd(1000);
  const socket = open(t, port, head('Content-Length: 1000'));
  await once(socket, 'data');
  socket.write(hidden);
  socket.write(get('Connection: close'));
  t.match(
    await received(socket),
    /^HTTP\/1\.1 200 [\s\S]*{"status":"ok"}$/,
    'the rest is dropped, and the next request is answered',
  );
  for (const large of ['Transfer-Encoding: chunked', `Content-Length: ${10 ** 12}`]) {
    const refused = await reply(open(t, port, head(large), `${hidden.length.toString(16)}\r\n${hidden}`));
    t.match(refused, { status: 401, code: 'unauthorized', replies: 1, head: /connection: close/i }, large);
  }
});

t.test(
  'bytes that are not HTTP close the connection without an answer while another reply is being sent',
  async (t) => {
    const listener = trackReplies((_request, response) => void response.write('begun'));
    const server = createServer(listener).on('clientError', refuseOnSocket);
    t.teardown(() => server.close());
    await once(server.listen(0), 'listening');
    const socket = open(t, (server.address() as AddressInfo).port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const all = received(socket);
    await once(socket, 'data');
    socket.write('NONSENSE\r\n\r\n');
    t.match(await all, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n5\r\nbegun\r\n$/);
  },
);

t.test('connections beyond the limit are closed', async (t) => {
  const port = await listening(t, { maxConnections: 2 });
  const kept = [open(t, port), open(t, port)];
  for (const socket of kept) {
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
  }
  t.equal(await received(open(t, port, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')), '', 'the third is closed');
  kept[0]!.destroy();
  await once(kept[0]!, 'close');
  let answer = '';
  while (answer === '')
    answer = await received(open(t, port, 'GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n'));
  t.match(answer, /^HTTP\/1\.1 200/);
});

const TYPE = 'multipart/form-data; boundary=x';
const part = (headers: string, data: string) => `--x\r\n${headers}\r\n\r\n${data}\r\n`;
const NAMED = 'Content-Disposition: form-data; name="a"';
const FILE = `${NAMED}; filename="f"`;

/** A service with a route that returns the parts of a form. */
async function forms(t: Test) {
  const { app } = await appOn(t, engine);
  app.post('/parts', async (request) =>
    (await readForm(request, 20)).map(({ data, ...part }) => ({ ...part, data: data.toString('latin1') })),
  );
  return async (body: string | Buffer, type = TYPE) => {
    const payload = Buffer.isBuffer(body) ? body : Buffer.from(body, 'latin1');
    return (await app.inject({ method: 'POST', url: '/parts', headers: { 'content-type': type }, payload })).json();
  };
}

t.test('forms are read as they were written', async (t) => {
  const partsOf = await forms(t);
  const contents = ['', '\r\n', '--x', '\r\n--', '\r\n--x'.slice(0, 4), 'a\0\r\n\r\n--\r\n', '\xff'.repeat(70_000)];
  const fields: Field[] = contents.map((content, i) => [`file ${i} ; name=é`, Buffer.from(content, 'latin1')]);
  const { headers, payload } = await form(...fields, ['text', 'value']);
  const expected = contents.map((data, i) => ({ field: `file ${i} ; name=é`, isFile: true, data }));
  const text = { field: 'text', isFile: false, data: 'value' };
  t.same(await partsOf(payload, headers['content-type']!), [...expected, text]);
  const one = [{ field: 'a', isFile: true, data: 'b' }];
  const ways: Record<string, [string, string?]> = {
    plain: [`${part(FILE, 'b')}--x--\r\n`],
    'before and after': [`before\r\n${part(FILE, 'b')}--x--\r\nafter --x`],
    'a quoted boundary': [
      `${part(FILE, 'b').replace('--x', '--x y')}--x y--`,
      'multipart/form-data; charset=utf-8; boundary="x y"',
    ],
    'more headers than are read': [`${part(`${FILE}\r\nX: ${'y'.repeat(90_000)}`, 'b')}--x--`],
    'other headers and cases': [
      `${part(`X: 1\r\ncontent-disposition:form-data;FILENAME=f; NAME=a\r\nY: 2`, 'b')}--x--`,
    ],
  };
  for (const [name, [body, type]] of Object.entries(ways)) t.same(await partsOf(body, type), one, name);
  t.same(await partsOf('--x--'), []);
  // A media type makes a file of a part without a name, as the library requests of Python sends it.
  for (const type of ['image/png', 'application/octet-stream', 'application/x-npy', 'Image/PNG; a=b']) {
    t.same(await partsOf(`${part(`${NAMED}\r\nContent-Type: ${type}`, 'b')}--x--`), one, type);
  }
  for (const type of ['text/plain', 'Text/Plain; charset=utf-8']) {
    const value = { field: 'a', isFile: false, data: 'b' };
    t.same(await partsOf(`${part(`${NAMED}\r\nContent-Type: ${type}`, 'b')}--x--`), [value], type);
  }
});

t.test('malformed forms are refused', async (t) => {
  const partsOf = await forms(t);
  const wrong: Record<string, [string, string?]> = {
    'no boundary': ['--x--', 'multipart/form-data'],
    'an empty boundary': ['----\r\nA: b\r\n\r\nx\r\n--y', 'multipart/form-data; boundary='],
    'a boundary of 71 characters': [`--${'x'.repeat(71)}--`, `multipart/form-data; boundary=${'x'.repeat(71)}`],
    'another boundary': ['--y--'],
    'no end': [part(FILE, 'b')],
    'no end of a part': [`--x\r\n${FILE}\r\n\r\nb`],
    'no end of headers': [`--x\r\n${FILE}\r\n`],
  };
  for (const [name, [body, type]] of Object.entries(wrong)) {
    t.match(await partsOf(body, type), { status: 400, code: 'multipart-malformed' }, name);
  }
  const encoded = part(`${FILE}\r\nContent-Transfer-Encoding: base64`, 'x'.repeat(300_000));
  const refused = await partsOf(`${encoded.repeat(3)}${part(FILE, 'b')}--x--`);
  t.match(refused, {
    code: 'multipart-malformed',
    detail: /a part is encoded as base64; expected the bytes themselves/,
  });
  const skipped = part('A: b', 'x'.repeat(300_000));
  t.same(
    await partsOf(`${part(FILE, 'b')}${skipped}--x--`),
    [{ field: 'a', isFile: true, data: 'b' }],
    'a large nameless part',
  );
  t.match(await partsOf(`${part(FILE, 'b').repeat(22)}--x--`), { status: 413, code: 'too-many-parts' });
  const whole = `${part(FILE, 'b')}${part(NAMED, 'c')}--x--`;
  for (let length = 0; length < whole.length; length++) {
    const answer = await partsOf(whole.slice(0, length));
    t.ok(Array.isArray(answer) || answer.status === 400, `${length} bytes`);
  }
});

t.test('the bytes of a form are counted as they arrive, those outside of its parts as well', async (t) => {
  const port = await listening(t, { maxBytes: 100_000, maxBuffer: 150_000 });
  const send = async (body: string, ...headers: string[]) => {
    const head = ['POST /classify HTTP/1.1', 'Host: x', `Content-Type: ${TYPE}`, ...headers].join('\r\n');
    return reply(open(t, port, `${head}\r\n\r\n`, body));
  };
  t.match(await send('', 'Content-Length: 100001'), { status: 413, code: 'too-many-bytes' });
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
  const chunked = 'Transfer-Encoding: chunked';
  const large = chunk(part(FILE, 'x'.repeat(100_001)));
  t.match(await send(large, chunked), { status: 413, code: 'too-many-bytes' });
  t.match(
    await send(chunk('before'.repeat(20_000)), chunked),
    { status: 413, code: 'too-many-bytes' },
    'no part at all',
  );
  const held = open(t, port, post('Content-Length: 90000'), Buffer.alloc(89_000));
  await sleep(20);
  let refused = await send(chunk(part(FILE, 'x'.repeat(90_000))), chunked);
  while (refused.status !== 429) refused = await send(chunk(part(FILE, 'x'.repeat(90_000))), chunked);
  t.match(refused, { code: 'overloaded' });
  held.destroy();
});

import { connect } from 'node:net';

/** Headers as they are written, so that they may be wrong, and come twice. */
export type Headers = readonly (readonly [name: string, value: string])[];

/** The bytes of a request; a body brings its length. The service is asked to close the connection, or to keep it. */
export function requestOf(
  method: string,
  path: string,
  headers: Headers = [],
  body?: Uint8Array,
  connection: 'close' | 'keep-alive' = 'close',
): Buffer {
  const length = body ? [['Content-Length', `${body.length}`] as const] : [];
  const lines = [['Host', '127.0.0.1'], ['Connection', connection], ...headers, ...length].map(
    ([k, v]) => `${k}: ${v}\r\n`,
  );
  return Buffer.concat([
    Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'),
    body ?? Buffer.alloc(0),
  ]);
}

/** A body in chunks of a size that has to be told by the client. */
export function chunked(body: Uint8Array, size: number): Buffer {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size);
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

/** What came back until the connection was closed: one answer, or several where the bytes were those of several requests. */
export interface Replies {
  readonly replies: readonly Reply[];
  /** Nothing closed the connection within the time. */
  readonly hung: boolean;
}

/** An answer that is not a mere "continue". */
export interface Reply {
  /** Undefined for bytes that are no answer at all. */
  readonly status: number | undefined;
  readonly type: string;
  readonly body: Buffer;
}

/** How long a client waits. */
export interface Patience {
  /** Until it says that no more will come from it. */
  readonly endMs: number;
  /** Until it gives up. */
  readonly limitMs: number;
}

/** Sends bytes on a connection of their own and reads all that comes back. */
export function exchange(port: number, bytes: Uint8Array, { endMs, limitMs }: Patience): Promise<Replies> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const done = (hung: boolean) => {
      clearTimeout(end);
      clearTimeout(limit);
      socket.destroy();
      resolve({ replies: repliesIn(Buffer.concat(chunks)), hung });
    };
    const end = setTimeout(() => socket.end(), endMs);
    const limit = setTimeout(() => done(true), limitMs);
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => done(false));
    // A connection that is reset has been closed as well; whether there was an answer is seen by its bytes.
    socket.on('error', () => done(false));
    socket.write(bytes);
  });
}

function repliesIn(bytes: Buffer): Reply[] {
  if (bytes.length === 0) return [];
  const end = bytes.indexOf('\r\n\r\n');
  const head = bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
  const [body, after] = bodyIn(head, end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 4));
  const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1];
  if (status === '100') return repliesIn(after);
  const type = /^content-type: ([^;\r]*)/im.exec(head)?.[1] ?? '';
  return [{ status: status === undefined ? undefined : Number(status), type, body }, ...repliesIn(after)];
}

/** The body that begins here, and what comes after it. */
function bodyIn(head: string, bytes: Buffer): [body: Buffer, after: Buffer] {
  if (/^transfer-encoding: chunked/im.test(head)) return chunksIn(bytes);
  // That of an answer to HEAD, which has a length, does not come.
  const length =
    bytes.toString('latin1', 0, 9) === 'HTTP/1.1 ' ? 0 : Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
  return [bytes.subarray(0, length), bytes.subarray(length)];
}

/** A body whose chunks are put together again, and what comes after the last. */
function chunksIn(bytes: Buffer): [body: Buffer, after: Buffer] {
  const start = bytes.indexOf('\r\n') + 2;
  const length = Number.parseInt(bytes.toString('latin1', 0, start), 16);
  const end = start + length + 2;
  if (start === 1 || !(length > 0)) return [Buffer.alloc(0), length === 0 ? bytes.subarray(end) : Buffer.alloc(0)];
  const [more, after] = chunksIn(bytes.subarray(end));
  return [Buffer.concat([bytes.subarray(start, start + length), more]), after];
}

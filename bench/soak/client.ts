import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'undici';
import { requestOf } from '../fuzz/http.js';
import type { Request } from '../load.js';

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** Sends a request and reads the whole answer. */
export async function ask(pool: Pool, { method = 'POST', path, headers = {}, body }: Request): Promise<Reply> {
  const reply = await pool.request({ method, path, headers, body: body ?? null });
  return { status: reply.statusCode, headers: reply.headers, body: Buffer.from(await reply.body.arrayBuffer()) };
}

const bytesOf = ({ path, headers = {}, body }: Request, connection?: 'keep-alive'): Buffer =>
  requestOf('POST', path, Object.entries(headers), body, connection);

/** Sends a share of some requests, one behind the other; goes away after some milliseconds, whatever has come back. */
export async function leave(port: number, requests: readonly Request[], share: number, ms: number): Promise<void> {
  const bytes = Buffer.concat(requests.map((request) => bytesOf(request, 'keep-alive')));
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  socket.write(bytes.subarray(0, Math.ceil(share * bytes.length)));
  await sleep(ms);
  socket.resetAndDestroy();
}

/** Sends a request in pieces with pauses between them; gives the status of the answer. */
export async function trickle(port: number, request: Request, pieces: number, pauseMs: number): Promise<number> {
  const bytes = bytesOf(request);
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  const chunks: Buffer[] = [];
  const ended = new Promise<void>((resolve) =>
    socket.on('data', (chunk) => chunks.push(chunk)).on('close', () => resolve()),
  );
  const size = Math.ceil(bytes.length / pieces);
  for (let at = 0; at < bytes.length; at += size) {
    socket.write(bytes.subarray(at, at + size));
    await sleep(pauseMs);
  }
  await ended;
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(Buffer.concat(chunks).toString('latin1'))?.[1] ?? 0);
}

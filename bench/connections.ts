import { connect } from 'node:net';

/** What a load has to know of an answer. */
export interface Reply {
  /** The HTTP status; of what failed without one, the code of the error. */
  readonly status: string;
  /** The header Server-Timing. */
  readonly timing?: string | undefined;
}

/**
 * Connections that stay open, each with one request at a time, and as many as there are requests at a time; the one used
 * last is taken first, as clients' pools do. They know no more of HTTP than the services under load use (bodies of a known
 * length), and so leave them the cores that they share.
 */
export interface Connections {
  /** Sends a request as it lies in memory and reads its answer; never rejects. */
  exchange(request: Uint8Array): Promise<Reply>;
  close(): void;
}

interface Connection {
  exchange(request: Uint8Array, done: (reply: Reply) => void): void;
  close(): void;
}

export function openConnections(base: string): Connections {
  const { hostname, port } = new URL(base);
  const idle: Connection[] = [];
  return {
    exchange(request) {
      return new Promise((resolve) => {
        const connection = idle.pop() ?? open(hostname, Number(port), idle);
        connection.exchange(request, resolve);
      });
    },
    close() {
      for (const connection of idle) connection.close();
    },
  };
}

/** Where all connections read to: what comes is looked at before anything else does. */
const buffer = Buffer.alloc(2 ** 16);

/** @param idle where it is while it waits for its next request */
function open(host: string, port: number, idle: Connection[]): Connection {
  const onread = {
    buffer,
    callback(length: number) {
      read(length);
      return true;
    },
  };
  const socket = connect({ host, port, noDelay: true, onread });
  let done: ((reply: Reply) => void) | undefined;
  let head = '';
  let reply: Reply | undefined;
  // Bytes of the body that have not come.
  let left = 0;
  const finish = (found: Reply) => {
    const tell = done;
    done = reply = undefined;
    head = '';
    tell?.(found);
  };
  const read = (bytes: number) => {
    if (reply) left -= bytes;
    else {
      const before = head.length;
      head += buffer.toString('latin1', 0, bytes);
      const end = head.indexOf('\r\n\r\n', Math.max(0, before - 3));
      if (end < 0) return;
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? Number.NaN);
      reply = { status: head.slice(9, 12), timing: /\r\nserver-timing: *([^\r]*)/i.exec(head)?.[1] };
      left = length - (head.length - end - 4);
      if (Number.isNaN(length)) return socket.destroy(new Error(`an answer without a length: ${head.slice(0, end)}`));
    }
    if (left > 0) return;
    const closes = /\r\nconnection: *close/i.test(head);
    finish(reply);
    if (closes) socket.destroy();
    else idle.push(connection);
  };
  const lost = (code: string) => {
    const place = idle.indexOf(connection);
    if (place >= 0) idle.splice(place, 1);
    finish({ status: code });
  };
  const connection: Connection = {
    exchange(request, then) {
      done = then;
      if (socket.destroyed) lost('ECONNRESET');
      else socket.write(request);
    },
    close: () => socket.destroy(),
  };
  socket.on('error', (error: NodeJS.ErrnoException) => lost(error.code ?? error.message));
  socket.on('close', () => lost('ECONNRESET'));
  return connection;
}

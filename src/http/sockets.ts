import { type RequestListener, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionError } from 'fastify';
import { type ProblemCode, problemDetails, problems } from '../common/problems.js';

/** Of a request whose head or body did not arrive in time. */
const TIME_IS_UP = 'ERR_HTTP_REQUEST_TIMEOUT';

const codes: Readonly<Record<string, ProblemCode>> = {
  [TIME_IS_UP]: 'request-timeout',
  HPE_HEADER_OVERFLOW: 'headers-too-large',
};

/** Answers what is not HTTP, or never became a whole request, on the socket itself; tells with what, if it could. */
export function refuseOnSocket(error: ConnectionError, socket: Socket): ProblemCode | undefined {
  if (error.code === 'ECONNRESET' || !socket.writable || hasBegunReply(socket)) {
    socket.destroy();
    return undefined;
  }
  const code = codes[error.code] ?? 'request-malformed';
  const body = JSON.stringify(problemDetails(code, 'the request could not be read'));
  const { status } = problems[code];
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  return code;
}

/** What is written now would count as a part of it. Node's own handler looks at the same. */
const hasBegunReply = (socket: Socket & { _httpMessage?: ServerResponse | null }): boolean =>
  socket._httpMessage?.headersSent === true;

/** Milliseconds from one connection that is given up to the next, where the time of many is up. */
const APART = 10;

/**
 * Has connections whose time is up handled one after the other with a pause between them. Node.js looks for them now and
 * then and finds many together: what each costs, and the connection that takes its place, would come before all others that
 * wait. Until its turn nothing more is read from a connection. Every other failure is handled at once: nothing brings those
 * together but their clients, and whoever has left, or speaks no HTTP, must not keep a place that others need.
 */
export function oneByOne(handle: (error: ConnectionError, socket: Socket) => void, pause = APART): typeof handle {
  const late = new Map<Socket, ConnectionError>();
  const next = () => {
    const [socket, error] = late.entries().next().value!;
    late.delete(socket);
    if (late.size > 0) setTimeout(next, pause);
    handle(error, socket.resume());
  };
  return (error, socket) => {
    if (error.code !== TIME_IS_UP) return handle(error, socket);
    if (late.has(socket)) return;
    late.set(socket.pause(), error);
    if (late.size === 1) setImmediate(next);
  };
}

/**
 * Has replies told when their connection has closed while they waited for their turn on it, behind others of one pipeline.
 * Node.js before 24 tells only the one whose turn it is; what is held for the rest until they close would be held for ever.
 */
export function closingAll(handler: RequestListener): RequestListener {
  const waiting = new WeakMap<Socket, Set<ServerResponse>>();
  const waitingOn = (socket: Socket): Set<ServerResponse> => {
    const replies = new Set<ServerResponse>();
    waiting.set(socket, replies);
    socket.once('close', () => {
      for (const reply of replies) reply.destroy().emit('close');
    });
    return replies;
  };
  return (request, response) => {
    if (response.socket === null) {
      const replies = waiting.get(request.socket) ?? waitingOn(request.socket);
      replies.add(response);
      response.once('close', () => replies.delete(response));
    }
    handler(request, response);
  };
}

import { type RequestListener, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionError } from 'fastify';
import { type ProblemCode, problemDetails, problems } from '../common/problems.js';

const codes: Readonly<Record<string, ProblemCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
  HPE_HEADER_OVERFLOW: 'headers-too-large',
};

/** Replies that are not finished, by their connection: several where the client pipelines requests. */
const unfinished = new WeakMap<Socket, Set<ServerResponse>>();

/**
 * Answers bytes that are not HTTP, or a request that did not arrive whole, on the socket itself. The connection closes.
 * @returns the code of the answer; undefined where there was none
 */
export function refuseOnSocket(error: ConnectionError, socket: Socket): ProblemCode | undefined {
  // After the head of another reply, an answer would be taken for its body.
  const replying = [...(unfinished.get(socket) ?? [])].some((reply) => reply.headersSent);
  if (error.code === 'ECONNRESET' || !socket.writable || replying) {
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

/**
 * Wraps a server's listener so that the unfinished replies of each connection are known, and all of them emit 'close' when
 * the client closes it. Node.js before 24 emits it only for the first reply of a pipeline: the memory and the queue slots
 * of the requests behind it would never be released.
 */
export function trackReplies(listener: RequestListener): RequestListener {
  return (request, response) => {
    const replies = unfinished.get(request.socket) ?? trackedOn(request.socket);
    replies.add(response);
    response.once('close', () => replies.delete(response));
    listener(request, response);
  };
}

function trackedOn(socket: Socket): Set<ServerResponse> {
  const replies = new Set<ServerResponse>();
  unfinished.set(socket, replies);
  socket.once('close', () => {
    // Node.js itself closes the reply that has the socket.
    for (const reply of replies) if (reply.socket === null) reply.destroy().emit('close');
  });
  return replies;
}

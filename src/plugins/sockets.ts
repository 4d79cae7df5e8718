import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionError } from 'fastify';
import { type ProblemCode, problemDetails, problems } from '../errors.js';

const codes: Readonly<Record<string, ProblemCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
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

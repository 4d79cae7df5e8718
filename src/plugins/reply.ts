import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Chunks } from '../../export/files.js';
import type { Tensor } from '../../export/tensor.js';
import { type Format, isBytes, mediaTypes, type Written } from '../operations/formats.js';

/** Sends a result in its format, with the model and the shape of what was computed in headers. Bytes are not copied. */
export async function sendAs(
  reply: FastifyReply,
  format: Format,
  model: string,
  { dims }: Tensor,
  write: () => Written | Promise<Written>,
): Promise<FastifyReply> {
  const written = await reply.request.work.timeline.time('encode', write);
  reply.headers({ 'irevnet-model': model, 'irevnet-shape': dims.join(','), vary: 'accept' }).type(mediaTypes[format]);
  return isBytes(written) ? sendChunks(reply, written) : reply.send(written);
}

/** Sends bytes that lie in pieces, without a copy. */
export function sendChunks(reply: FastifyReply, chunks: Chunks): FastifyReply {
  const length = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  return reply.header('content-length', length).send(Readable.from(chunks));
}

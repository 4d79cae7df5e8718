import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Chunks } from '../../../export/files/write.js';
import { jsonBytes } from '../../../export/formats/json.js';
import type { Tensor } from '../../../export/graph/tensor.js';
import { type Format, isBytes, mediaTypes, type Written } from '../../operations/formats.js';

/** Sends a result in its format, with the name of the model and the shape of the result as headers. */
export async function sendAs(
  reply: FastifyReply,
  format: Format,
  model: string,
  { dims }: Tensor,
  write: () => Written | Promise<Written>,
): Promise<FastifyReply> {
  const chunks = await reply.request.work.timeline.time('encode', async () => chunksOf(await write()));
  reply.headers({ 'irevnet-model': model, 'irevnet-shape': dims.join(','), vary: 'accept' }).type(mediaTypes[format]);
  return sendChunks(reply, chunks);
}

const chunksOf = (written: Written): Chunks => (isBytes(written) ? written : [jsonBytes(written)]);

/** Most bytes of chunks that are joined: up to here a copy is cheaper than a stream. */
const SMALL = 2 ** 16;

/** Sends bytes that lie in chunks; large ones are streamed without a copy. */
export function sendChunks(reply: FastifyReply, chunks: Chunks): FastifyReply {
  const length = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  if (chunks.length === 1) return reply.send(chunks[0]);
  if (length <= SMALL) return reply.send(Buffer.concat(chunks));
  return reply.header('content-length', length).send(Readable.from(chunks));
}

import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Chunks } from '../../../export/files/write.js';
import { jsonBytes } from '../../../export/formats/json.js';
import type { Tensor } from '../../../export/graph/tensor.js';
import { type Format, isBytes, mediaTypes, type Written } from '../../operations/formats.js';

/** A result: what a file with it is called, its format, the model that computed it, and its tensor. */
interface Result {
  readonly name: string;
  readonly format: Format;
  readonly model: string;
  readonly tensor: Tensor;
}

/** Formats that a browser shows. Others are saved as files: a page that shows them as text, as /docs would, damages them. */
const shown: readonly Format[] = ['png', 'gif', 'json'];

/** Sends a result in its format, with the model, the shape and a file name as headers. */
export async function sendAs(
  reply: FastifyReply,
  { name, format, model, tensor }: Result,
  write: () => Written | Promise<Written>,
): Promise<FastifyReply> {
  const chunks = await reply.request.work.timeline.time('encode', async () => chunksOf(await write()));
  const disposition = shown.includes(format) ? 'inline' : 'attachment';
  reply.headers({
    'irevnet-model': model,
    'irevnet-shape': tensor.dims.join(','),
    // RFC 6266
    'content-disposition': `${disposition}; filename="${name}.${format}"`,
    vary: 'accept',
  });
  return sendChunks(reply.type(mediaTypes[format]), chunks);
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

import type { FastifyReply } from 'fastify';
import type { Tensor } from '../../export/tensor.js';
import { type Format, mediaTypes } from '../operations/formats.js';

/** Sends a result in its format, with the model and the shape of what was computed in headers. */
export function sendAs(
  reply: FastifyReply,
  format: Format,
  model: string,
  { dims }: Tensor,
  payload: unknown,
): FastifyReply {
  reply.headers({ 'irevnet-model': model, 'irevnet-shape': dims.join(','), vary: 'accept' });
  return reply
    .type(mediaTypes[format])
    .send(
      payload instanceof Uint8Array ? Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength) : payload,
    );
}

import type { Request } from './load.js';

/** A form with a file in each field, as a request. */
export async function formRequest(
  path: string,
  files: readonly (readonly [field: string, data: Uint8Array])[],
): Promise<Request> {
  const form = new FormData();
  for (const [field, data] of files) form.append(field, new Blob([data as Uint8Array<ArrayBuffer>]), 'image');
  const reply = new Response(form);
  const headers = { 'content-type': reply.headers.get('content-type')! };
  return { path, headers, body: new Uint8Array(await reply.arrayBuffer()) };
}

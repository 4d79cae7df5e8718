import { Busboy, type BusboyFileStream } from '@fastify/busboy';
import { Problem } from '../errors.js';

export interface Part {
  readonly field: string;
  /** False for a form's text value. */
  readonly isFile: boolean;
  readonly data: Buffer;
}

/**
 * Takes a multipart body apart, which is already in memory and so bounded in size.
 * @throws Problem multipart-malformed, too-many-parts
 */
export async function parseMultipart(body: Buffer, contentType: string, maxParts: number): Promise<Part[]> {
  const parts: Promise<Part>[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      const limits = { parts: maxParts + 1 };
      const parser = new Busboy({ headers: { 'content-type': contentType }, limits, isPartAFile: () => true });
      // A part without a name comes as undefined, whatever the parser's types say.
      parser.on('file', (field: string | undefined, stream, filename) => {
        const part = collect(stream).then((data) => ({ field: field ?? '', isFile: filename !== undefined, data }));
        part.catch(reject);
        parts.push(part);
      });
      parser.on('finish', resolve).on('error', reject);
      parser.end(body);
    });
  } catch (error) {
    throw new Problem('multipart-malformed', `the form cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (parts.length > maxParts)
    throw new Problem('too-many-parts', `a form has at most ${maxParts} ${maxParts === 1 ? 'part' : 'parts'} here`);
  return Promise.all(parts);
}

async function collect(stream: BusboyFileStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

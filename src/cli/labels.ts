import { readFile } from 'node:fs/promises';
import { decodeText } from '../../export/files/text.js';

/**
 * Reads class names, in the order of the classes: one a line, or a JSON array of strings. Without a file, the classes are
 * numbered.
 * @throws Error when the file is neither, or has another number of names
 */
export async function readLabels(file: string | undefined, classes: number): Promise<string[]> {
  if (file === undefined) return Array.from({ length: classes }, (_, i) => `class ${i}`);
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${file} cannot be read (${error.code})`);
  });
  const text = decodeText(bytes, file);
  const labels = text.trimStart().startsWith('[') ? fromJson(text, file) : text.trimEnd().split(/\r?\n/);
  if (labels.length === classes && labels.every((label) => label.trim() !== '')) return labels;
  throw new Error(`${file} holds ${labels.length} class names; expected ${classes}, one a line and none empty`);
}

function fromJson(text: string, file: string): string[] {
  let labels: unknown;
  try {
    labels = JSON.parse(text);
  } catch (error) {
    throw new Error(`${file} begins like JSON but is none: ${(error as Error).message}`);
  }
  if (Array.isArray(labels) && labels.every((label) => typeof label === 'string')) return labels;
  throw new Error(`${file} holds JSON but no array of strings`);
}

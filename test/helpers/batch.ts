import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Summary } from '../../src/jobs/run.js';
import { cli } from './cli.js';
import { pngOf } from './images.js';
import { someImages } from './networks.js';

const images = await someImages('test');

export const COUNT = 100;
export const imageName = (i: number): string => `${String(i).padStart(3, '0')}.png`;
export const pixelsOf = (i: number): Buffer => Buffer.from(images.pixels.subarray(i * 784, (i + 1) * 784));

/** A folder with the first test images of Fashion-MNIST, as 000.png and so on, and a place for results beside it. */
export async function places(t: Test, count = COUNT) {
  const folder = t.testdir({ images: {} });
  const input = join(folder, 'images');
  for (let i = 0; i < count; i++) await writeFile(join(input, imageName(i)), await pngOf(images, i));
  return { folder, input, output: join(folder, 'out') };
}

/** Runs `irevnet batch` and reads what it prints. */
export async function batch(
  ...args: readonly string[]
): Promise<{ code: number | null; stderr: string; summary: Summary }> {
  const { code, stdout, stderr } = await cli('batch', ...args, '--json');
  return { code, stderr, summary: stdout === '' ? ({} as Summary) : JSON.parse(stdout) };
}

/** Every file of a folder and those below it, by its path. */
export async function filesIn(folder: string): Promise<Record<string, Buffer>> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const contents = files.sort().map(async (file) => [file.slice(folder.length + 1), await readFile(file)] as const);
  return Object.fromEntries(await Promise.all(contents));
}

/** The lines of an index. */
export const linesOf = async (file: string): Promise<Record<string, unknown>[]> =>
  (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

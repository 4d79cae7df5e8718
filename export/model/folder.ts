import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Compile } from 'typebox/compile';
import { MANIFEST_FORMAT, Manifest } from './manifest.js';

/** A model folder that cannot be used; the message names the file, what was expected and what to do. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  constructor(
    message: string,
    /** Whether there is no model, or one that cannot be used. */
    readonly problem: 'models-missing' | 'model-damaged' = 'model-damaged',
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

const validator = Compile(Manifest);

/**
 * Reads a model folder's manifest and checks every file against it.
 * @throws ModelError naming the file that is missing, damaged or of another version
 */
export async function readModelFolder(folder: string): Promise<Manifest> {
  const manifest = await readManifest(folder);
  for (const [name, file] of Object.entries(manifest.files)) await checkFile(folder, name, file);
  return manifest;
}

/** Reads a model folder's manifest alone. @throws ModelError */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, 'manifest.json');
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const message = `${path} cannot be read (${cause.code}); a model folder needs one. Export the model again`;
    throw new ModelError(message, existsSync(folder) ? 'model-damaged' : 'models-missing', { cause });
  });
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch (error) {
    throw new ModelError(`${path} is not JSON: ${(error as Error).message}`);
  }
  const format = (manifest as { format?: unknown } | null)?.format;
  if (format !== MANIFEST_FORMAT) {
    throw new ModelError(
      `${path} has format ${JSON.stringify(format)}, this version reads ${MANIFEST_FORMAT}. Export the model again with this version`,
    );
  }
  if (!validator.Check(manifest)) {
    const problems = validator.Errors(manifest).map((e) => `${e.instancePath || '/'} ${e.message}`);
    throw new ModelError(`${path}: ${problems.slice(0, 5).join('; ')}`);
  }
  const { input, preprocessing } = manifest;
  const longer = Math.max(input.width, input.height);
  if ((preprocessing.shortSide ?? longer) < longer) {
    throw new ModelError(
      `${path}: preprocessing.shortSide is ${preprocessing.shortSide}; expected at least ${longer}, the input's longer side`,
    );
  }
  return manifest;
}

async function checkFile(folder: string, name: string, expected: { bytes: number; sha256: string }): Promise<void> {
  const path = join(folder, name);
  const size = await stat(path).then(
    (s) => s.size,
    () => undefined,
  );
  if (size === undefined)
    throw new ModelError(`${path} is missing, but manifest.json lists it. Export the model again`);
  if (size !== expected.bytes) {
    throw new ModelError(
      `${path} has ${size} bytes, manifest.json says ${expected.bytes}: truncated or replaced. Export the model again`,
    );
  }
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  const found = hash.digest('hex');
  if (found !== expected.sha256) {
    throw new ModelError(
      `${path} has SHA-256 ${found}, manifest.json says ${expected.sha256}: it was changed. Export the model again`,
    );
  }
}

/** A file's size and hash, as the manifest lists them. */
export type Listed = Manifest['files']['weights.bin'];

/** Writes a file from its pieces, of any size together, and gives what the manifest says of it. */
export async function writeListed(path: string, pieces: Pieces): Promise<Listed> {
  const hash = createHash('sha256');
  let bytes = 0;
  async function* counted() {
    for await (const piece of pieces) {
      hash.update(piece);
      bytes += piece.length;
      yield piece;
    }
  }
  await writeFile(path, counted(), { flush: true });
  return { bytes, sha256: hash.digest('hex') };
}
type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Fills a folder beside its place, then moves it there; an older one is replaced. When `fill` fails, nothing is left.
 * @returns what `fill` gives
 */
export async function writeFolder<T>(folder: string, fill: (fresh: string) => Promise<T>): Promise<T> {
  const mark = randomBytes(6).toString('hex');
  const fresh = `${folder}.${mark}.tmp`;
  const old = `${folder}.${mark}.old`;
  await mkdir(fresh, { recursive: true });
  try {
    const filled = await fill(fresh);
    const replaced = await rename(folder, old).then(
      () => true,
      () => false,
    );
    await rename(fresh, folder);
    if (replaced) await rm(old, { recursive: true });
    return filled;
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw error;
  }
}

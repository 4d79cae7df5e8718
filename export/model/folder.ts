import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Compile } from 'typebox/compile';
import type { Listed } from '../files/write.js';
import { MANIFEST_FILE, MANIFEST_FORMAT, Manifest } from './manifest.js';

/** A model folder that cannot be used; the message names the file, what was expected and what to do. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  constructor(
    message: string,
    /** 'models-missing': there is no model; 'model-damaged': there is one, but it cannot be used. */
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

/** Reads a model folder's manifest without looking at the other files. @throws ModelError */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, MANIFEST_FILE);
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
  checkManifest(manifest, path);
  return manifest;
}

/** @param path of the manifest, for the message @throws ModelError */
export function checkManifest(manifest: unknown, path: string): asserts manifest is Manifest {
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
}

async function checkFile(folder: string, name: string, expected: Listed): Promise<void> {
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
  const found = await hashOf(path);
  if (found !== expected.sha256) {
    throw new ModelError(
      `${path} has SHA-256 ${found}, manifest.json says ${expected.sha256}: it was changed. Export the model again`,
    );
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ModelError(`${path} cannot be read (${code})`, 'model-damaged', { cause });
  }
  return hash.digest('hex');
}

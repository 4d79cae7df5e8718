import { createReadStream } from 'node:fs';
import { lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFolder, writeListed } from '../../../export/files/write.js';
import { readModelFolder } from '../../../export/model/folder.js';
import type { Manifest } from '../../../export/model/manifest.js';
import type { GraphName } from '../../../export/model/signature.js';
import { WEIGHTS_FILE } from '../../../export/model/weights.js';
import { type Served, servedModels, VERSION } from '../oip/models.js';
import { graphConfig, LABELS_FILE, roundTripConfig, type TritonSettings } from './config.js';
import { type Message, toPbtxt } from './pbtxt.js';

const CONFIG_FILE = 'config.pbtxt';

/** A model of the repository: a folder. */
interface Entry {
  readonly name: string;
  readonly config: Message;
  readonly labels?: readonly string[];
  /** Writes the files of its only version into a folder. */
  readonly fill: (version: string) => Promise<unknown>;
}

/**
 * Writes a model into a Triton model repository: Φ as `<model>`, and where there is one Φ⁻¹ as `<model>-inverse` and
 * the ensemble `<model>-round-trip`. Each folder is written atomically. Folders written before from the same model are
 * replaced, or removed when it has no inverse any more; other folders are never changed.
 * @param folder the model folder
 * @returns the names of the models that Triton serves
 * @throws ModelError; Error when a folder of another origin has one of the names
 */
export async function writeRepository(folder: string, repository: string, settings: TritonSettings): Promise<string[]> {
  const manifest = await readModelFolder(folder);
  const entries = entriesOf(manifest, folder, settings);
  const mark = `# Written by irevnet export --triton of the model ${manifest.name}\n`;
  const former = await formerEntries(repository, [manifest.name, inverseOf(manifest), roundTripOf(manifest)], mark);
  for (const entry of entries) await writeEntry(join(repository, entry.name), entry, mark);
  const names = entries.map(({ name }) => name);
  for (const name of former) if (!names.includes(name)) await rm(join(repository, name), { recursive: true });
  return names;
}

const inverseOf = ({ name }: Manifest) => `${name}-inverse`;
const roundTripOf = ({ name }: Manifest) => `${name}-round-trip`;

function entriesOf(manifest: Manifest, folder: string, settings: TritonSettings): Entry[] {
  const served = servedModels([manifest]);
  const forward = served.get(manifest.name)!;
  const inverse = served.get(inverseOf(manifest));
  const first = { ...graphEntry(forward, folder, settings), labels: manifest.labels };
  if (!inverse) return [first];
  const name = roundTripOf(manifest);
  const config = roundTripConfig(name, forward, inverse, settings);
  return [first, graphEntry(inverse, folder, settings), { name, config, labels: manifest.labels, fill: explainEmpty }];
}

/**
 * A graph under the backend's default name, with its weights beside it, where ONNX Runtime looks for them. They are a copy:
 * readers of ONNX refuse weights outside of the model's folder, and files of several names.
 */
const graphEntry = (served: Served, folder: string, settings: TritonSettings): Entry => ({
  name: served.name,
  config: graphConfig(served, settings),
  fill: async (version) => {
    await copy(join(folder, graphFile(served.graph)), join(version, 'model.onnx'));
    await copy(join(folder, WEIGHTS_FILE), join(version, WEIGHTS_FILE));
  },
});

const graphFile = (graph: GraphName) => `${graph}.onnx`;

/** An ensemble needs a version folder too, and git and object stores drop empty folders. */
const explainEmpty = (version: string) =>
  writeFile(join(version, 'README'), 'An ensemble has no file; Triton wants the folder of its version all the same.\n');

/**
 * Finds the folders that were written before from the same model.
 * @throws Error when a folder of another origin has one of the names
 */
async function formerEntries(repository: string, names: readonly string[], mark: string): Promise<string[]> {
  const former: string[] = [];
  for (const name of names) {
    const path = join(repository, name);
    const text = await readFile(join(path, CONFIG_FILE), 'utf8').catch(() => '');
    if (text.startsWith(mark)) former.push(name);
    else if (await exists(path)) {
      throw new Error(
        `${path} exists and was not written of this model; choose another folder for --triton, or remove it first`,
      );
    }
  }
  return former;
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

const writeEntry = (path: string, { config, labels, fill }: Entry, mark: string): Promise<void> =>
  writeFolder(path, async (fresh) => {
    const version = join(fresh, VERSION);
    await mkdir(version);
    await writeFile(join(fresh, CONFIG_FILE), `${mark}${toPbtxt(config)}`, { flush: true });
    if (labels) await writeFile(join(fresh, LABELS_FILE), labels.map(line).join(''), { flush: true });
    await fill(version);
  });

/** A label as one line: the number of the line is the number of the class. */
const line = (label: string): string => `${label.replace(/\s+/g, ' ')}\n`;

const copy = (from: string, to: string) => writeListed(to, createReadStream(from));

import { createReadStream } from 'node:fs';
import { link, lstat, mkdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readModelFolder, writeFolder, writeListed } from '../../../export/model/folder.js';
import type { Manifest } from '../../../export/model/manifest.js';
import type { GraphName } from '../../../export/model/signature.js';
import { WEIGHTS_FILE } from '../../../export/model/weights.js';
import { type Served, servedModels, VERSION } from '../oip/models.js';
import { graphConfig, LABELS_FILE, roundTripConfig, type TritonSettings } from './config.js';
import { type Message, toPbtxt } from './pbtxt.js';

const CONFIG_FILE = 'config.pbtxt';

/** A folder of the repository. */
interface Entry {
  readonly name: string;
  readonly config: Message;
  readonly labels?: readonly string[];
  /** Fills the folder of its only version. */
  readonly fill: (version: string) => Promise<unknown>;
}

/**
 * Writes a model into a Triton model repository: Φ as `<model>`, and where there is one Φ⁻¹ as `<model>-inverse` and
 * the ensemble `<model>-round-trip`. Each folder appears whole or not at all, and those that were written of the same
 * model before are replaced, or removed when it has no inverse any more; any other folder of their names is left as it is.
 * @param folder the model folder
 * @returns the names that Triton serves
 * @throws ModelError; Error when a name is taken
 */
export async function writeRepository(folder: string, repository: string, settings: TritonSettings): Promise<string[]> {
  const manifest = await readModelFolder(folder);
  const entries = entriesOf(manifest, folder, repository, settings);
  const mark = `# Written by irevnet export --triton of the model ${manifest.name}\n`;
  const former = await formerEntries(repository, [manifest.name, inverseOf(manifest), roundTripOf(manifest)], mark);
  for (const entry of entries) await writeEntry(join(repository, entry.name), entry, mark);
  const names = entries.map(({ name }) => name);
  for (const name of former) if (!names.includes(name)) await rm(join(repository, name), { recursive: true });
  return names;
}

const inverseOf = ({ name }: Manifest) => `${name}-inverse`;
const roundTripOf = ({ name }: Manifest) => `${name}-round-trip`;

function entriesOf(manifest: Manifest, folder: string, repository: string, settings: TritonSettings): Entry[] {
  const served = servedModels([manifest]);
  const forward = served.get(manifest.name)!;
  const inverse = served.get(inverseOf(manifest));
  const first = { ...graphEntry(forward, folder, join(folder, WEIGHTS_FILE), settings), labels: manifest.labels };
  if (!inverse) return [first];
  // Where the models are on another file system, they are copied once all the same.
  const weights = join(repository, manifest.name, VERSION, WEIGHTS_FILE);
  const name = roundTripOf(manifest);
  const config = roundTripConfig(name, forward, inverse, settings);
  return [
    first,
    graphEntry(inverse, folder, weights, settings),
    { name, config, labels: manifest.labels, fill: explainEmpty },
  ];
}

/** The graph under the backend's default name, and its weights beside it, where it looks for them. */
const graphEntry = (served: Served, folder: string, weights: string, settings: TritonSettings): Entry => ({
  name: served.name,
  config: graphConfig(served, settings),
  fill: async (version) => {
    await copy(join(folder, graphFile(served.graph)), join(version, 'model.onnx'));
    await linkOrCopy(weights, join(version, WEIGHTS_FILE));
  },
});

const graphFile = (graph: GraphName) => `${graph}.onnx`;

/** An ensemble needs the folder of a version too, and neither git nor object stores keep an empty one. */
const explainEmpty = (version: string) =>
  writeFile(join(version, 'README'), 'An ensemble has no file; Triton wants the folder of its version all the same.\n');

/**
 * Those of the names whose folders were written of the same model before.
 * @throws Error when one is anything else
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

/** A label on a line of its own, for its number is that of the line. */
const line = (label: string): string => `${label.replace(/\s+/g, ' ')}\n`;

const copy = (from: string, to: string) => writeListed(to, createReadStream(from));

/**
 * A second name for a large file, or a copy where there can be none: on another file system, or for the file of somebody
 * else. A symbolic link would not do: ONNX Runtime refuses weights that lie outside of the model's folder.
 */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(await realpath(from), to);
  } catch {
    await copy(from, to);
  }
}

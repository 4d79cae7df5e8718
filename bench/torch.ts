import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packagePath } from '../export/files/package.js';
import { readModelFolder } from '../export/model/folder.js';
import { networkParameters } from '../export/model/graphs.js';
import { specificationOf } from '../export/model/open.js';
import { WEIGHTS_FILE, weightsLayout } from '../export/model/weights.js';
import { buildNetwork } from '../export/networks/index.js';

// The baselines in PyTorch: programs in Python beside this file.

/** Debian's Python, which has PyTorch from python3-torch; PYTHON names another one. */
export const python = process.env.PYTHON ?? '/usr/bin/python3';

/** The arguments of Python that run a baseline. */
export const baseline = (script: string): string[] => ['-B', packagePath('bench', script)];

const REMEDY =
  'PyTorch did not run. On Debian: apt-get install python3-torch; or name a Python that has PyTorch in PYTHON';

/** What `irevnet_torch.py` needs to build the network of a model folder with its weights. */
export async function torchSettings(folder: string) {
  const manifest = await readModelFolder(folder);
  const parameters = networkParameters(buildNetwork(specificationOf(manifest)));
  const { slots } = weightsLayout(parameters);
  const shapes = parameters.map(({ source, type: { shape } }) => [source.name, { ...slots.get(source.name), shape }]);
  return {
    config: manifest.architecture.config,
    weights: { file: join(folder, WEIGHTS_FILE), slots: Object.fromEntries(shapes) },
  };
}

/** A baseline in a process of its own: it answers orders, line by line. */
export interface Torch extends AsyncDisposable {
  /** Waits for the next line. @throws Error when there is none */
  answer<T>(): Promise<T>;
  /** Gives an order and waits for its answer. */
  ask<T>(order: object): Promise<T>;
}

/** Starts a baseline with a file of settings. */
export async function openTorch(script: string, settings: string): Promise<Torch> {
  const child = spawn(python, [...baseline(script), settings], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child, 'spawn').catch((cause) => {
    throw new Error(REMEDY, { cause });
  });
  // A process that has ended is noticed by the answer that is missing.
  child.stdin.on('error', () => {});
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const answer = async <T>(): Promise<T> => {
    const line = await lines.next();
    if (line.done) throw new Error(REMEDY);
    return JSON.parse(line.value) as T;
  };
  return {
    answer,
    ask: (order) => {
      child.stdin.write(`${JSON.stringify(order)}\n`);
      return answer();
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}

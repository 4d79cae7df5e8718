import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { configurations } from '../export/networks/configurations.js';
import { buildNetwork, withGrid } from '../export/networks/index.js';
import type { IRevNetConfig } from '../export/networks/irevnet.js';
import { rounded } from './statistics.js';
import { openSteps, type Step } from './steps.js';

// This file is the benchmark and, in a process of its own for each network, the program that takes the steps: the largest
// memory of a process is never forgotten.

const BATCH = 256;
const STEPS = 3;
/** Thin, so that nearly all of the memory is activations. */
const shipped = configurations['fashion-mnist']!.config as IRevNetConfig;
const thin = { ...shipped, strides: [1, 2, 2] as (1 | 2)[], widths: [2, 8, 32], hidden: [32, 32, 64] };
const BLOCKS = [2, 2, 2];
const MIB = 2 ** 20;

interface Measured {
  readonly parameters: number;
  /** Bytes that the first steps added to the memory of the process. */
  readonly bytes: number;
  readonly milliseconds: number;
}

/** The memory that a training step needs, by depth: with activations kept, and recomputed by the blocks' inverses. */
export async function* trainingMemory(): AsyncGenerator<object> {
  for (const reversible of [false, true]) {
    let first: number | undefined;
    for (const depth of [1, 2, 4]) {
      const { parameters, bytes, milliseconds } = await inOwnProcess(depth, reversible);
      first ??= bytes;
      const figures = { stepMiB: rounded(bytes / MIB), over1x: rounded(bytes / first), stepMs: rounded(milliseconds) };
      yield { reversible, depth, blocks: depth * BLOCKS.reduce((a, b) => a + b), batch: BATCH, parameters, ...figures };
    }
  }
}

async function inOwnProcess(depth: number, reversible: boolean): Promise<Measured> {
  const args = [fileURLToPath(import.meta.url), String(depth), String(reversible)];
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout) as Measured;
}

async function measure(depth: number, reversible: boolean): Promise<Measured> {
  const config = { ...thin, blocks: BLOCKS.map((n) => depth * n) };
  const network = buildNetwork(withGrid({ architecture: 'irevnet', config }, null));
  await using steps = await openSteps(network, { batch: BATCH, reversible }, { threads: availableParallelism() });
  const before = process.memoryUsage.rss();
  const taken: Step[] = [];
  for (let i = 0; i < STEPS; i++) taken.push(await steps.steps());
  return {
    parameters: steps.parameters,
    bytes: 1024 * process.resourceUsage().maxRSS - before,
    milliseconds: Math.min(...taken.map(({ milliseconds }) => milliseconds)),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , depth, reversible] = process.argv;
  process.stdout.write(JSON.stringify(await measure(Number(depth), reversible === 'true')));
}

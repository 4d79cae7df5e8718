import { availableParallelism } from 'node:os';
import { noiseImages } from '../export/data/noise.js';
import { tensor } from '../export/graph/tensor.js';
import { readModelFolder } from '../export/model/folder.js';
import { median, rounded } from './statistics.js';
import { type Choice, eachSubject, type Subject, subjects } from './subjects.js';
import { type BenchWorker, openWorker, runsPerSecond } from './workers.js';

const ROUNDS = 3;

/** A way to run Φ: images in a batch, and one session on all cores or one on each. */
export interface Way {
  readonly batch: number;
  readonly sessions: number;
}

/** ONNX Runtime alone, without service, requests and pictures: what a service can reach at most. */
export interface Ceiling {
  readonly ways: readonly Way[];
  /** Images a second, measured over so many seconds. */
  rate(way: Way, seconds: number): Promise<number>;
  close(): Promise<void>;
}

/** Loads a subject's graph once for all cores, and once for each. */
export async function openCeiling({ folder, batches }: Subject): Promise<Ceiling> {
  const { input } = await readModelFolder(folder);
  const cores = availableParallelism();
  const splits = new Map<number, readonly BenchWorker[]>(
    [...new Set([1, cores])].map((sessions) => [
      sessions,
      Array.from({ length: sessions }, () => openWorker({ folder, threads: cores / sessions })),
    ]),
  );
  const orderOf = (batch: number, runs: number) => {
    const { pixels, height, width, channels } = noiseImages(batch, input, 1);
    const feeds = { pixels: tensor('uint8', [batch, height, width, channels], pixels) };
    return { graph: 'forward', feeds, fetch: ['logits'], runs };
  };
  return {
    ways: batches.flatMap((batch) => [...splits.keys()].map((sessions) => ({ batch, sessions }))),
    async rate({ batch, sessions }, seconds) {
      const workers = splits.get(sessions)!;
      // The first runs take memory, and tell how many fill the time.
      const about = await runsPerSecond(workers, orderOf(batch, 2));
      const runs = Math.max(1, Math.round((about * seconds) / sessions));
      return batch * (await runsPerSecond(workers, orderOf(batch, runs)));
    },
    async close() {
      await Promise.all([...splits.values()].flat().map((worker) => worker.close()));
    },
  };
}

/** Images a second in every way, the median of some rounds; the best last. */
export async function sweep(ceiling: Ceiling, seconds: number): Promise<(Way & { imagesPerSecond: number })[]> {
  const rates = new Map<Way, number[]>(ceiling.ways.map((way) => [way, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [way, found] of rates) found.push(await ceiling.rate(way, seconds / ROUNDS));
  }
  return [...rates]
    .map(([way, found]) => ({ ...way, imagesPerSecond: rounded(median(found)) }))
    .sort((a, b) => a.imagesPerSecond - b.imagesPerSecond);
}

/** Opens a ceiling, uses it and closes it. */
export async function* withCeiling(
  subject: Subject,
  use: (ceiling: Ceiling) => AsyncIterable<object>,
): AsyncGenerator<object> {
  const ceiling = await openCeiling(subject);
  try {
    yield* use(ceiling);
  } finally {
    await ceiling.close();
  }
}

/** Images a second of Φ alone, by size of the batch and number of sessions; the best comes last. */
export const ceiling = (choice: Choice): AsyncGenerator<object> =>
  eachSubject(choice, subjects, (subject) =>
    withCeiling(subject, async function* (opened) {
      yield* await sweep(opened, subject.seconds / 2);
    }),
  );

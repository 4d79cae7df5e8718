import { availableParallelism } from 'node:os';
import { noiseImages } from '../export/data/noise.js';
import { tensor } from '../export/graph/tensor.js';
import { readModelFolder } from '../export/model/folder.js';
import { together } from './server.js';
import { openThread, runsPerSecond } from './sessions.js';
import { median, rounded } from './statistics.js';
import { type Choice, eachSubject, type Subject, subjects } from './subjects.js';

const ROUNDS = 3;

/** A way to run Φ: images in a batch, and one session on all cores or one on each. */
export interface Way {
  readonly batch: number;
  readonly sessions: number;
}

/** ONNX Runtime alone, without service, requests and image files: the most that a service can reach. */
export interface Ceiling extends AsyncDisposable {
  readonly ways: readonly Way[];
  /** Images a second, measured over this many seconds. */
  rate(way: Way, seconds: number): Promise<number>;
}

/** Loads Φ of a subject once for all cores, and once for each core. */
export async function openCeiling({ folder, batches }: Pick<Subject, 'folder' | 'batches'>): Promise<Ceiling> {
  const { input } = await readModelFolder(folder);
  const cores = availableParallelism();
  const splits = new Map(
    [...new Set([1, cores])].map((sessions) => [
      sessions,
      Array.from({ length: sessions }, () => openThread({ folder, threads: cores / sessions })),
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
      const threads = splits.get(sessions)!;
      // The first runs allocate memory, and tell how many runs fill the time.
      const about = await runsPerSecond(threads, orderOf(batch, 2));
      const runs = Math.max(1, Math.round((about * seconds) / sessions));
      return batch * (await runsPerSecond(threads, orderOf(batch, runs)));
    },
    ...together([...splits.values()].flat()),
  };
}

/** Images a second in every way, the median of some rounds; the best way is last. */
export async function sweep(ceiling: Ceiling, seconds: number): Promise<(Way & { imagesPerSecond: number })[]> {
  const rates = new Map<Way, number[]>(ceiling.ways.map((way) => [way, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [way, found] of rates) found.push(await ceiling.rate(way, seconds / ROUNDS));
  }
  return [...rates]
    .map(([way, found]) => ({ ...way, imagesPerSecond: rounded(median(found)) }))
    .sort((a, b) => a.imagesPerSecond - b.imagesPerSecond);
}

/** Images a second of Φ alone, by batch size and number of sessions; the best way is last. */
export const ceiling = (choice: Choice): AsyncGenerator<object> =>
  eachSubject(choice, subjects, async function* (subject) {
    await using opened = await openCeiling(subject);
    yield* await sweep(opened, subject.seconds / 2);
  });

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runBatch } from './batch-process.js';
import { type Ceiling, openCeiling, sweep, type Way } from './ceiling.js';
import { writeFashion } from './pictures.js';
import { temporaryFolder } from './server.js';
import { mean, median, readable, rounded } from './statistics.js';
import { type Choice, eachSubject } from './subjects.js';

const IMAGES = 10_000;
const ROUNDS = 7;
/** Batch sizes beyond those of the service. */
const LARGER = [128, 256];
/** The number of fastest settings of ONNX Runtime that are measured again in each round: noise may hide which is the best. */
const WAYS = 3;

/**
 * Measures `irevnet batch encode` of 10,000 PNGs by one process against ONNX Runtime alone, which is measured before and after
 * each run because the speed of a machine drifts. `ratio` counts from the loaded model to the last byte written, `ratioInAll`
 * the whole process, and `cpuRatio` images per second of processor time, which suffers less from other load.
 */
export const batch = ({ seconds = 5 }: Choice): AsyncGenerator<object> =>
  eachSubject({ seconds }, ['fashion-mnist'], async function* (subject) {
    await using folder = await temporaryFolder();
    await using ceiling = await openCeiling({ ...subject, batches: [...subject.batches, ...LARGER] });
    const [images, output] = [join(folder.path, 'images'), join(folder.path, 'encoded')];
    yield { images: IMAGES, ...(await writeFashion(images, IMAGES)) };
    const ways = (await sweep(ceiling, seconds)).slice(-WAYS);
    const args = ['encode', '--input', images, '--output', output, ...subject.flags];
    const raw = [await best(ceiling, ways, seconds)];
    const rounds: Round[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const start = performance.now();
      const run = await runBatch(...args);
      const inAll = (1000 * IMAGES) / (performance.now() - start);
      await rm(output, { recursive: true });
      raw.push(await best(ceiling, ways, seconds));
      const [wall, cpu] = (['wall', 'cpu'] as const).map((clock) => mean(raw.slice(-2).map((r) => r[clock])));
      const ratios = {
        ratio: run.imagesPerSecond / wall!,
        ratioInAll: inAll / wall!,
        cpuRatio: IMAGES / run.cpuSeconds / cpu!,
      };
      rounds.push(ratios);
      yield { imagesPerSecond: rounded(run.imagesPerSecond), ceiling: rounded(wall!), ...readable(ratios) };
    }
    yield { of: 'median', ceiling: rounded(median(raw.map(({ wall }) => wall))), ways, ...medians(rounds) };
  });

interface Round {
  readonly ratio: number;
  readonly ratioInAll: number;
  readonly cpuRatio: number;
}

const medians = (rounds: readonly Round[]): Round => {
  const of = (name: keyof Round) => median(rounds.map((round) => round[name]));
  return readable({ ratio: of('ratio'), ratioInAll: of('ratioInAll'), cpuRatio: of('cpuRatio') });
};

/** The highest rates of some settings, by each clock. */
async function best(ceiling: Ceiling, ways: readonly Way[], seconds: number): Promise<Rate> {
  const rates: Rate[] = [];
  for (const way of ways) rates.push(await rateOf(ceiling, way, seconds / ways.length));
  return { wall: Math.max(...rates.map((r) => r.wall)), cpu: Math.max(...rates.map((r) => r.cpu)) };
}

interface Rate {
  readonly wall: number;
  readonly cpu: number;
}

/** Images per second, and per second of processor time. */
async function rateOf(ceiling: Ceiling, way: Way, seconds: number): Promise<Rate> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  const wall = await ceiling.rate(way, seconds);
  const { user, system } = process.cpuUsage(before);
  return { wall, cpu: (wall * 1000 * (performance.now() - start)) / (user + system) };
}

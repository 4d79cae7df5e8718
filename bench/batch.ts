import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runBatch } from './batch-process.js';
import { sweep, withCeiling } from './ceiling.js';
import { withFolder } from './models.js';
import { writeFashion } from './pictures.js';
import { mean, median, rounded } from './statistics.js';
import { type Choice, eachSubject } from './subjects.js';

const IMAGES = 10_000;
const ROUNDS = 7;

/**
 * `irevnet batch encode` of 10,000 PNGs by one process: images a second over those of ONNX Runtime alone, which is measured
 * again before and after each run, since the speed of a machine drifts. It counts from the model being loaded to the last
 * byte written; `ratioInAll` is that of the whole process, from its start to its end.
 */
export const batch = ({ seconds = 5 }: Choice): AsyncGenerator<object> =>
  eachSubject({ seconds }, ['fashion-mnist'], (subject) =>
    withFolder((folder) =>
      withCeiling(subject, async function* (ceiling) {
        const images = join(folder, 'images');
        yield { images: IMAGES, ...(await writeFashion(images, IMAGES)) };
        const ways = await sweep(ceiling, seconds);
        const best = ways.at(-1)!;
        const output = join(folder, 'encoded');
        const rates = [await ceiling.rate(best, seconds)];
        const ratios: number[] = [];
        for (let round = 0; round < ROUNDS; round++) {
          const start = performance.now();
          const run = await runBatch('encode', '--input', images, '--output', output, ...subject.flags);
          const whole = (1000 * IMAGES) / (performance.now() - start);
          await rm(output, { recursive: true });
          rates.push(await ceiling.rate(best, seconds));
          const around = mean(rates.slice(-2));
          ratios.push(run.imagesPerSecond / around);
          yield {
            imagesPerSecond: rounded(run.imagesPerSecond),
            ceiling: rounded(around),
            ratio: rounded(run.imagesPerSecond / around),
            ratioInAll: rounded(whole / around),
          };
        }
        yield {
          ...best,
          imagesPerSecond: rounded(median(rates)),
          medianRatio: rounded(median(ratios)),
          rounds: ROUNDS,
        };
      }),
    ),
  );

import { openCeiling, sweep } from './ceiling.js';
import { closedLoop, goodput, summary } from './load.js';
import { startServer } from './server.js';
import { mean, median, rounded } from './statistics.js';
import { type Choice, eachSubject, subjects } from './subjects.js';

const CLIENTS = [1, 2, 4, 8, 16, 32, 64];

/**
 * Images a second of the service, as it starts without flags, over those of ONNX Runtime alone, for several numbers of
 * clients. ONNX Runtime is measured again before and after each, since the speed of a machine drifts.
 */
export const service = (choice: Choice): AsyncGenerator<object> =>
  eachSubject(choice, subjects, async function* (subject) {
    await using ceiling = await openCeiling(subject);
    const ways = await sweep(ceiling, subject.seconds / 2);
    for (const way of ways) yield { of: 'ceiling', ...way };
    const best = ways.at(-1)!;
    await using server = await startServer(subject.flags);
    const rates = [await ceiling.rate(best, subject.seconds / 2)];
    for (const clients of CLIENTS) {
      const load = await closedLoop(server.base, subject.requests, { clients, seconds: subject.seconds });
      rates.push(await ceiling.rate(best, subject.seconds / 2));
      const around = mean(rates.slice(-2));
      const ratio = rounded(goodput(load) / around);
      yield { of: 'service', clients, ...summary(load), ceiling: rounded(around), ratio };
    }
    yield { of: 'ceiling', ...best, imagesPerSecond: rounded(median(rates)), measured: rates.length };
  });

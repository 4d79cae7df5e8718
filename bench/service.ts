import { sweep, withCeiling } from './ceiling.js';
import { closedLoop, goodput, summary } from './load.js';
import { startServer, withServer } from './server.js';
import { mean, median, rounded } from './statistics.js';
import { type Choice, eachSubject, type Subject, subjects } from './subjects.js';

const CLIENTS = [1, 2, 4, 8, 16, 32, 64];

/**
 * The service, as it starts without flags, under so many clients: images a second over those of ONNX Runtime alone. That
 * is measured again before and after each number of clients, since the speed of a machine drifts.
 */
export const service = (choice: Choice): AsyncGenerator<object> => eachSubject(choice, subjects, measure);

const measure = (subject: Subject): AsyncGenerator<object> =>
  withCeiling(subject, async function* (ceiling) {
    const ways = await sweep(ceiling, subject.seconds / 2);
    for (const way of ways) yield { of: 'ceiling', ...way };
    const best = ways.at(-1)!;
    yield* withServer(startServer(subject.flags), async function* ({ base }) {
      const rates = [await ceiling.rate(best, subject.seconds / 2)];
      for (const clients of CLIENTS) {
        const load = await closedLoop(base, subject.requests, { clients, seconds: subject.seconds });
        rates.push(await ceiling.rate(best, subject.seconds / 2));
        const ratio = rounded(goodput(load) / mean(rates.slice(-2)));
        yield { of: 'service', clients, ...summary(load), ceiling: rounded(mean(rates.slice(-2))), ratio };
      }
      yield { of: 'ceiling', ...best, imagesPerSecond: rounded(median(rates)), measured: rates.length };
    });
  });

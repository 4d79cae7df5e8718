import { fileURLToPath } from 'node:url';
import { count, during } from './during.js';
import { type Answer, isAnswered } from './load.js';
import { type Server, startProcess, startServer, withServer } from './server.js';
import { rounded } from './statistics.js';
import { type Choice, eachSubject, type Subject } from './subjects.js';

const CLIENTS = 16;
const SECONDS = 10;
/** The share of the rate before to which it has to come back. */
const SHARE = 0.9;
/** Milliseconds over which a rate is taken, from one such window to the next, and within which the rate falls. */
const WINDOW = 500;
const STEP = 50;
const FALL = 3000;

/**
 * What becomes of requests when a worker dies in the middle of a batch, and when the service is asked to end: nobody may
 * be left without an answer.
 */
export const recovery = ({ seconds = SECONDS }: Choice): AsyncGenerator<object> =>
  eachSubject({}, ['fashion-mnist'], async function* (subject) {
    const script = fileURLToPath(new URL('./mortal-service.js', import.meta.url));
    for (const workers of [1, 2]) {
      const starting = startProcess(process.execPath, (port) => [
        script,
        '--port',
        `${port}`,
        '--workers',
        `${workers}`,
      ]);
      yield* withServer(starting, async function* (server) {
        yield { event: 'a worker dies', workers, ...(await killWorker(subject, server, seconds)) };
      });
    }
    yield* withServer(startServer(subject.flags), async function* (server) {
      yield { event: 'SIGTERM', ...(await terminate(subject, server, seconds)) };
    });
  });

async function killWorker(subject: Subject, { base, pid }: Server, seconds: number) {
  const { answers, at } = await during(subject, base, { clients: CLIENTS, seconds }, () =>
    process.kill(pid, 'SIGUSR2'),
  );
  const from = answers[0]!.end + 1000;
  const before = (1000 * answers.filter(({ end }) => end >= from && end < at).length) / (at - from);
  return {
    statuses: count(answers),
    unanswered: answers.filter((answer) => !isAnswered(answer)).length,
    requestsPerSecond: rounded(before),
    slowestMs: rounded(Math.max(...answers.filter(({ end }) => end >= at).map(({ due, end }) => end - due))),
    ...recoveryOf(answers, at, SHARE * before),
  };
}

/** The lowest rate within some seconds of a moment, and how long it took from there until the rate was back. */
function recoveryOf(answers: readonly Answer[], at: number, perSecond: number) {
  const ends = answers.map(({ end }) => end).filter((end) => end >= at);
  const last = Math.max(...ends) - WINDOW;
  const windows = Array.from({ length: Math.floor((last - at) / STEP) }, (_, i) => {
    const from = at + i * STEP;
    return { from, rate: (1000 * ends.filter((end) => end >= from && end < from + WINDOW).length) / WINDOW };
  });
  const lowest = Math.min(...windows.filter(({ from }) => from < at + FALL).map(({ rate }) => rate));
  const fell = windows.findIndex(({ rate }) => rate === lowest);
  const back = windows.slice(fell).find(({ rate }) => rate >= perSecond);
  const seconds = back && (lowest >= perSecond ? 0 : rounded((back.from - at) / 1000));
  return { lowestPerSecond: rounded(lowest), secondsUntilRecovered: seconds ?? null };
}

/** Requests that were sent before the signal have been accepted; those sent after it may be refused. */
async function terminate(subject: Subject, { base, pid, ended }: Server, seconds: number) {
  const { answers, at } = await during(subject, base, { clients: CLIENTS, seconds }, () =>
    process.kill(pid, 'SIGTERM'),
  );
  const under = answers.filter(({ due, end }) => due < at && end >= at);
  return {
    underWay: under.length,
    unanswered: answers.filter((answer) => answer.due < at && !isAnswered(answer)).length,
    statuses: count(answers.filter(({ due }) => due < at)),
    sentAfter: count(answers.filter(({ due }) => due >= at)),
    exitCode: await ended,
  };
}

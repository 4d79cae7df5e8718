import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { faults } from './faults.js';
import { type Answer, closedLoop, goodput, isAnswered, statusesOf } from './load.js';
import { type Server, startServer, temporaryFolder } from './server.js';
import { rounded } from './statistics.js';
import { type Choice, eachSubject, type Subject } from './subjects.js';

const CLIENTS = 16;
const SECONDS = 10;
/** The rate is back when it reaches this share of the rate before, counted over windows of this many milliseconds. */
const SHARE = 0.9;
const WINDOW = 250;

/**
 * What happens to requests when a worker dies with a batch, and when the service is told to end: is every request answered,
 * and when is the rate of requests back?
 */
export const recovery = ({ seconds = SECONDS }: Choice): AsyncGenerator<object> =>
  eachSubject({}, ['fashion-mnist'], async function* (subject) {
    for (const workers of [1, 2]) {
      await using folder = await temporaryFolder();
      const deadly = join(folder.path, 'deadly');
      await using server = await startServer([...subject.flags, '--workers', `${workers}`], faults({ deadly }));
      yield { event: 'a worker dies', workers, ...(await killWorker(subject, server, seconds, deadly)) };
    }
    await using server = await startServer(subject.flags);
    yield { event: 'SIGTERM', ...(await terminate(subject, server, seconds)) };
  });

async function killWorker(subject: Subject, server: Server, seconds: number, deadly: string) {
  const { at, ...load } = await loadWith(subject, server, seconds, () => writeFileSync(deadly, ''));
  const before = goodput({ ...load, to: at });
  const after = load.answers.filter(({ end }) => end >= at);
  const windows = Array.from({ length: Math.floor((load.to - at) / WINDOW) }, (_, i) => {
    const from = at + i * WINDOW;
    return (1000 * after.filter(({ end }) => end >= from && end < from + WINDOW).length) / WINDOW;
  });
  const back = windows.findIndex((rate) => rate >= SHARE * before);
  return {
    ...verdict(load.answers),
    requestsPerSecond: rounded(before),
    slowestMs: rounded(Math.max(...after.map(({ start, end }) => end - start))),
    lowestPerSecond: rounded(Math.min(...windows)),
    secondsUntilRecovered: back < 0 ? null : (back * WINDOW) / 1000,
  };
}

/** Requests sent before SIGTERM must be answered; those sent after it may be refused, also without an answer. */
async function terminate(subject: Subject, server: Server, seconds: number) {
  const { at, answers } = await loadWith(subject, server, seconds, () => process.kill(server.pid, 'SIGTERM'));
  const accepted = answers.filter(({ start }) => start < at);
  return {
    ...verdict(accepted),
    underWay: accepted.filter(({ end }) => end >= at).length,
    sentAfter: statusesOf(answers.filter(({ start }) => start >= at)),
    exitCode: await server.ended,
  };
}

const verdict = (answers: readonly Answer[]) => ({
  answeredAll: answers.every((answer) => isAnswered(answer) && answer.status !== '503'),
  unanswered: answers.filter((answer) => !isAnswered(answer)).length,
  statuses: statusesOf(answers),
});

/** A load with an action in the middle, at the time `at`. */
async function loadWith({ requests }: Subject, { base }: Server, seconds: number, act: () => void) {
  const loading = closedLoop(base, requests, { clients: CLIENTS, seconds });
  await sleep(1000 * (1 + seconds / 2));
  const at = performance.now();
  act();
  return { ...(await loading), at };
}

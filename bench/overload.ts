import { readConfig } from '../src/common/config.js';
import { closedLoop, goodput, openLoop, statusesOf } from './load.js';
import { type Server, startServer, withServer } from './server.js';
import { latency, readable } from './statistics.js';
import { type Choice, eachSubject, type Subject } from './subjects.js';

/** Clients that keep the service busy, and seconds in which its rate is measured. */
const BUSY = { clients: 32, seconds: 10 };
/** How many times the rate that it can sustain is offered, and for how many seconds. */
const TIMES = 10;
const SECONDS = 60;
/** Seconds before, in which connections are made: the service takes in one a turn of its loop, whose turns are long now. */
const WARM_UP = 15;
/** Requests under way at most: well above what the service lets in. */
const CAP = 1024;

/**
 * Ten times the load that the service can take: what is answered and what is refused, and how soon. The load comes from
 * the same cores, so the rate that was really offered is told, and what a full queue needs without it and meanwhile.
 */
export const overload = ({ seconds = SECONDS, model }: Choice): AsyncGenerator<object> =>
  eachSubject({ model }, ['fashion-mnist', 'irevnet-b'], (subject) =>
    withServer(startServer(subject.flags), (server) => measure(subject, server, seconds)),
  );

async function* measure({ requests }: Subject, { base }: Server, seconds: number): AsyncGenerator<object> {
  const sustainable = goodput(await closedLoop(base, requests, BUSY));
  const load = await openLoop(base, requests, { rate: TIMES * sustainable, cap: CAP, seconds, warmUp: WARM_UP });
  const { offered, skipped, lateMs, generatorCores, latencies } = load;
  const { maxQueue } = readConfig({}, {});
  yield {
    seconds,
    statuses: statusesOf(latencies),
    skipped,
    ...readable({
      sustainablePerSecond: sustainable,
      offeredPerSecond: offered,
      answeredPerSecond: goodput(load),
      fullQueueMs: (1000 * maxQueue) / sustainable,
      fullQueueThenMs: (1000 * maxQueue) / goodput(load),
      lateMs,
      generatorCores,
    }),
    ...Object.fromEntries(Object.entries(latencies).map(([status, ms]) => [`latencyOf${status}`, latency(ms)])),
  };
}

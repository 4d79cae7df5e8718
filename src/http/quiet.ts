import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { FastifyInstance } from 'fastify';

/** Seconds without work after which memory is given back. */
const QUIET = 10;

/**
 * Gives memory back once there has been nothing to do for a while. V8 does so itself, but only after a full collection of
 * garbage, and where nothing happens there is none: what a burst of requests took would be kept until the next.
 * @param collect collects all garbage
 */
export function installQuiet(app: FastifyInstance, seconds = QUIET, collect = fullCollection()): void {
  let [worked, kept] = [false, false];
  const timer = setInterval(() => {
    if (kept && !worked) collect();
    [worked, kept] = [false, worked];
  }, seconds * 1000).unref();
  // Those who ask how it is do not keep it from resting.
  app.follow({
    over({ method }) {
      worked ||= method !== 'GET';
    },
  });
  app.addHook('onClose', async () => clearInterval(timer));
}

/** What `node --expose-gc` gives every script. https://nodejs.org/api/v8.html#v8setflagsfromstringflags */
function fullCollection(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
}

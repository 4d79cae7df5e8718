import type { Listener, Loss, Member } from '../member.js';
import type { Outputs } from '../protocol.js';
import { SelfTestError } from '../self-test.js';
import { ServerError } from './client.js';
import type { Server } from './server.js';

/** A place for one batch under way to a server. */
export interface Slot extends Member {
  /** The server takes batches again. */
  up(): void;
  /** A Φ⁻¹ was tried on the server. */
  tested: Listener['tested'];
}

export function createRemoteMember(server: Server, to: Listener): Slot {
  let underWay: Promise<void> | undefined;
  const done = (outputs: Partial<Outputs>) => {
    underWay = undefined;
    to.done({ kind: 'done', outputs });
    to.free();
  };
  const failed = (error: Error) => {
    underWay = undefined;
    const untrusted = error instanceof SelfTestError;
    if (!untrusted && !(error instanceof ServerError && error.kind === 'rejected')) return to.lost(lossOf(error));
    to.done({ kind: 'failed', message: error.message, untrusted });
    to.free();
  };
  return {
    isUp: server.isUp,
    isFree: () => server.isUp() && underWay === undefined,
    run(batch) {
      underWay = server.run(batch).then(done, failed);
    },
    up() {
      if (underWay === undefined) to.free();
    },
    tested: to.tested,
    async close() {
      await underWay;
    },
    hung: () => 0,
  };
}

function lossOf(error: Error): Loss {
  if (error instanceof ServerError && error.kind === 'refused') return 'refused';
  return (error.cause as Error | undefined)?.name === 'TimeoutError' ? 'hung' : 'died';
}

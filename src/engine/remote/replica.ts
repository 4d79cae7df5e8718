import type { Tensors } from '../../../export/model/signature.js';
import type { Outcome } from '../protocol.js';
import type { Loss, Replica, ReplicaEvents } from '../replica.js';
import { SelfTestError } from '../self-test.js';
import { ServerError } from './client.js';
import type { Server } from './server.js';

/** A slot for one batch at a remote server. It is up while the server is. */
export function startRemoteReplica(server: Server, events: ReplicaEvents): Replica {
  let running: Promise<void> | undefined;
  const end = (outcome: Outcome) => {
    running = undefined;
    events.ended(outcome);
    events.idle();
  };
  const done = (outputs: Partial<Tensors>) => end({ kind: 'done', outputs });
  const failed = (error: Error) => {
    const untrusted = error instanceof SelfTestError;
    const rejected = error instanceof ServerError && error.kind === 'rejected';
    if (untrusted || rejected)
      return end({ kind: 'failed', message: error.message, ...(untrusted && { code: 'inverse-untrusted' }) });
    running = undefined;
    events.lost(lossOf(error));
  };
  server.onUp(() => {
    if (!running) events.idle();
  });
  return {
    isUp: server.isUp,
    isIdle: () => server.isUp() && !running,
    run(batch) {
      running = server.run(batch).then(done, failed);
    },
    async load(model) {
      if (!server.isUp()) return false;
      await server.load(model);
      return true;
    },
    unload: server.unload,
    async close() {
      await running;
    },
    hung: () => 0,
  };
}

function lossOf(error: Error): Loss {
  if (error instanceof ServerError && error.kind === 'refused') return 'refused';
  return (error.cause as Error | undefined)?.name === 'TimeoutError' ? 'hung' : 'died';
}

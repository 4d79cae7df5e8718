import { closeSync, openSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Engine } from '../engine/engine.js';

/**
 * On SIGHUP serves what the models folder then holds. A terminal that closes sends the signal, too: it then ends the
 * process, as it ends others.
 */
export function reloadOnHangup({ ready, repository, status }: Engine, log: Logger): void {
  const interactive = hasTerminal();
  const reload = async () => {
    log.info('reading the models folder');
    await ready;
    await repository.refresh();
    log.info('the models folder is read');
  };
  const hungUp = () => {
    if (interactive && !hasTerminal()) {
      process.off('SIGHUP', hungUp);
      process.kill(process.pid, 'SIGHUP');
    } else if (!status().draining) {
      reload().catch((err) => log.error({ err }, 'the models folder cannot be read'));
    }
  };
  process.on('SIGHUP', hungUp);
}

/** Whether this process has a terminal, which may close. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { lockFolder } from './lock.js';
import { openStore, type Store } from './store.js';

/** The folder that jobs are kept in, for this service alone. */
export interface Folder {
  readonly store: Store;
  /** Where features are kept from one job to the next; undefined: they are not. */
  readonly features: string | undefined;
  close(): Promise<void>;
}

/**
 * Opens the folder of jobs, which is made where there is none.
 * @param named by the operator; empty: a temporary folder, which may lie in memory: features are not kept in it, and it is
 * removed in the end
 * @param lost called when another service has taken the folder; nothing more is to be written then
 * @throws ExitError in-use; a system error
 */
export async function openFolder(named: string, lost: () => void): Promise<Folder> {
  if (named === '') {
    const folder = await mkdtemp(join(tmpdir(), 'irevnet-analyses-'));
    return {
      store: openStore(folder),
      features: undefined,
      close: () => rm(folder, { recursive: true, force: true }),
    };
  }
  const folder = resolve(named);
  await mkdir(folder, { recursive: true });
  const lock = await lockFolder(folder, lost);
  return { store: openStore(folder), features: join(folder, 'features'), close: async () => lock.release() };
}

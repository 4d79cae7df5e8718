import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import type { Cache } from '../analysis/context.js';
import { whole } from './numbers.js';

const MIB = 2 ** 20;
const DEFAULT_MIB = 2048;

export interface CacheFlags {
  /** false: --no-cache. */
  readonly cache: string | false;
  readonly cacheSize: number;
}

export const addCacheOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--cache <folder>', 'where features are kept between runs').default(
        defaultFolder(),
        "the user's cache folder",
      ),
    )
    .option('--no-cache', 'keep no features')
    .option('--cache-size <n>', 'MiB of features that are kept; the oldest go first', whole(1), DEFAULT_MIB);

export const cacheOf = ({ cache, cacheSize }: CacheFlags): Cache | undefined =>
  cache === false ? undefined : { folder: cache, bytes: cacheSize * MIB };

/** The user's folder for what can be computed again. https://specifications.freedesktop.org/basedir-spec/latest/ */
const defaultFolder = (): string =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'irevnet', 'features');

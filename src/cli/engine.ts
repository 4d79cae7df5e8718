import type { Command } from 'commander';
import { readConfig, type Setting, settingOption } from '../common/config.js';
import { type Engine, openEngine } from '../engine/engine.js';

/** Settings of where graphs run, for every command that runs some. */
export const placeSettings = [
  'model',
  'models',
  'threads',
  'maxPixels',
  'executionProvider',
  'devices',
  'batchBuckets',
  'backend',
  'backendUrl',
] as const satisfies readonly Setting[];
export type EngineFlags = Partial<Record<(typeof placeSettings)[number], string>>;

export function addEngineOptions(command: Command): Command {
  for (const key of placeSettings) command.addOption(settingOption(key));
  return command;
}

/** The settings among the flags of a command. */
export const settingsIn = <K extends Setting>(flags: Partial<Record<K, string>>, keys: readonly K[]) =>
  Object.fromEntries(keys.flatMap((key) => (flags[key] === undefined ? [] : [[key, flags[key]]])));

/** Runs something on one model with a single worker, which is stopped afterwards. Files are not limited in number. */
export async function withEngine<T>(flags: EngineFlags, run: (engine: Engine) => Promise<T>): Promise<T> {
  const config = { ...readConfig(settingsIn(flags, placeSettings)), workers: 1 };
  const engine = await openEngine(
    { ...config, maxImages: Infinity, maxQueue: Infinity, maxSteps: Infinity },
    { only: config.model },
  );
  try {
    await engine.ready;
    return await run(engine);
  } finally {
    await engine.close();
  }
}

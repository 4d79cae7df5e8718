import type { Command } from 'commander';
import { readConfig, type Setting, settingOption } from '../config.js';
import { type Engine, openEngine } from '../inference/engine.js';

/** Settings that every command on one model takes. */
const shared = ['model', 'models', 'threads', 'maxPixels'] as const satisfies readonly Setting[];
export type EngineFlags = Partial<Record<(typeof shared)[number], string>>;

export function addEngineOptions(command: Command): Command {
  for (const key of shared) command.addOption(settingOption(key));
  return command;
}

/** Runs something on one model with a single worker, which is stopped afterwards. Files are not limited in number. */
export async function withEngine<T>(
  { model, models, threads, maxPixels }: EngineFlags,
  run: (engine: Engine) => Promise<T>,
): Promise<T> {
  const config = { ...readConfig(defined({ model, models, threads, maxPixels })), workers: 1 };
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

const defined = (flags: EngineFlags): EngineFlags =>
  Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));

import { appendFile, readFile } from 'node:fs/promises';
import { writeAtomically } from '../files/write.js';

/** What is logged of a step. */
export interface StepEntry {
  readonly step: number;
  readonly epoch: number;
  readonly loss: number;
  /** Share of the batch whose label had the highest score. */
  readonly accuracy: number;
  readonly learningRate: number;
}

/** What is logged of a validation. */
export interface ValidationEntry {
  readonly step: number;
  readonly epoch: number;
  readonly images: number;
  readonly accuracy: number;
}

/** Where a run logs its steps while it trains. */
export interface TrainingLog {
  begin(run: { start: number; total: number; perEpoch: number; batch: number }): Promise<void> | void;
  step(entry: StepEntry): Promise<void> | void;
  validation(entry: ValidationEntry): Promise<void> | void;
  end(): Promise<void> | void;
}

/** Logs to several places. */
export const combined = (logs: readonly TrainingLog[]): TrainingLog => ({
  begin: async (run) => void (await Promise.all(logs.map((log) => log.begin(run)))),
  step: async (entry) => void (await Promise.all(logs.map((log) => log.step(entry)))),
  validation: async (entry) => void (await Promise.all(logs.map((log) => log.validation(entry)))),
  end: async () => void (await Promise.all(logs.map((log) => log.end()))),
});

/** Writes a line of JSON for every step and validation. A run that resumes removes the lines after its checkpoint first. */
export function jsonLines(path: string): TrainingLog {
  const line = (kind: string, values: object) => appendFile(path, `${JSON.stringify({ kind, ...values })}\n`);
  return {
    begin: async ({ start }) => writeAtomically(path, await linesUpTo(path, start)),
    step: (entry) => line('step', entry),
    validation: (entry) => line('validation', entry),
    end: () => {},
  };
}

async function linesUpTo(path: string, step: number): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const kept = text.split('\n').filter((line) => {
    const logged = /"step":(\d+),.*}$/.exec(line)?.[1];
    return logged !== undefined && Number(logged) <= step;
  });
  return kept.map((line) => `${line}\n`).join('');
}

import { appendFile, readFile } from 'node:fs/promises';
import { writeAtomically } from '../files/write.js';

export interface StepMetrics {
  readonly step: number;
  readonly epoch: number;
  readonly loss: number;
  /** Share of the batch whose label had the highest score. */
  readonly accuracy: number;
  readonly learningRate: number;
}

export interface ValidationMetrics {
  readonly step: number;
  readonly epoch: number;
  readonly images: number;
  readonly accuracy: number;
}

/** What a run reports, as it goes. */
export interface Metrics {
  begin(run: { start: number; total: number; perEpoch: number; batch: number }): Promise<void> | void;
  step(m: StepMetrics): Promise<void> | void;
  validation(m: ValidationMetrics): Promise<void> | void;
  end(): Promise<void> | void;
}

/** Reports to several places. */
export const everywhere = (sinks: readonly Metrics[]): Metrics => ({
  begin: async (run) => void (await Promise.all(sinks.map((s) => s.begin(run)))),
  step: async (m) => void (await Promise.all(sinks.map((s) => s.step(m)))),
  validation: async (m) => void (await Promise.all(sinks.map((s) => s.validation(m)))),
  end: async () => void (await Promise.all(sinks.map((s) => s.end()))),
});

/** Writes a JSON line for every step and validation. A resumed run first drops the lines after its starting point. */
export function jsonLines(path: string): Metrics {
  const line = (kind: string, values: object) => appendFile(path, `${JSON.stringify({ kind, ...values })}\n`);
  return {
    begin: async ({ start }) => writeAtomically(path, await linesUpTo(path, start)),
    step: (m) => line('step', m),
    validation: (m) => line('validation', m),
    end: () => {},
  };
}

async function linesUpTo(path: string, step: number): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const kept = text.split('\n').filter((line) => {
    const at = /"step":(\d+),.*}$/.exec(line)?.[1];
    return at !== undefined && Number(at) <= step;
  });
  return kept.map((line) => `${line}\n`).join('');
}

import type { Context } from './context.js';
import { AnalysisError } from './errors.js';
import { type Experiment, runExperiment } from './experiment.js';

/** How an experiment ended. A reason is a sentence: why it cannot run here, or what went wrong. */
export type Ending =
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'skipped'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

export type Outcome = Ending & { readonly experiment: Experiment; readonly seconds: number };

/**
 * Runs experiments one after the other. One that cannot run, or fails, does not stop the others.
 * @param options of an experiment; defaults for the rest
 * @throws the signal's reason when it is aborted
 */
export async function* eachExperiment(
  context: Context,
  chosen: readonly Experiment[],
  options: (experiment: Experiment) => object = () => ({}),
): AsyncGenerator<Outcome> {
  for (const experiment of chosen) {
    const began = performance.now();
    const ending = await endingOf(() => runExperiment(experiment, context, options(experiment)));
    context.signal.throwIfAborted();
    yield { experiment, seconds: (performance.now() - began) / 1000, ...ending };
  }
}

/** The result of a run, or why there is none. */
async function endingOf(run: () => Promise<unknown>): Promise<Ending> {
  try {
    return { kind: 'done', result: await run() };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kind: error instanceof AnalysisError ? 'skipped' : 'failed', reason };
  }
}

/** Why an experiment cannot run. */
export type AnalysisProblem =
  | 'unknown-experiment'
  | 'option-invalid'
  | 'not-invertible'
  | 'data-missing'
  | 'data-unlabelled'
  | 'data-one-class'
  | 'too-few-images'
  | 'not-finite';

/** An experiment that cannot run; the message says what was wrong, what was expected and what to do. */
export class AnalysisError extends Error {
  override readonly name = 'AnalysisError';
  constructor(
    readonly problem: AnalysisProblem,
    message: string,
  ) {
    super(message);
  }
}

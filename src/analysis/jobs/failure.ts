import { DatasetError } from '../../../export/data/index.js';
import { ModelError } from '../../../export/model/folder.js';
import { SettingsError } from '../../common/config.js';
import { AnalysisError } from '../errors.js';
import type { JobError } from './job.js';

/** What the client of a job is told of an error in its process; undefined where the error is a fault of the service. */
export function failureOf(error: Error): JobError | undefined {
  const code = codeOf(error);
  return code === undefined ? undefined : { code, detail: error.message };
}

/** The command takes a wrong option for wrong usage. */
function codeOf(error: unknown): string | undefined {
  if (error instanceof SettingsError) return codeOf(error.cause);
  if (error instanceof AnalysisError) return error.problem;
  if (error instanceof DatasetError) return 'data-unusable';
  return error instanceof ModelError ? 'unknown-model' : undefined;
}

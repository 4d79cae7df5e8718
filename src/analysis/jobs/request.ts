import { type Static, type TObject, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { problemsOf } from '../../../export/files/schema.js';
import { parseJson } from '../../../export/formats/json.js';
import { Problem } from '../../common/problems.js';
import { type Engine, invertibleOf, modelOf } from '../../engine/engine.js';
import { AnalysisError } from '../errors.js';
import { type Experiment, readOptions } from '../experiment.js';
import { experimentNamed } from '../experiments.js';
import type { Datasets } from './datasets.js';
import type { Asked } from './job.js';

/** The body of a request for a job. */
export const Request = Type.Object(
  {
    experiment: Type.String({ description: 'name of an experiment' }),
    model: Type.Optional(Type.String({ description: 'name of a model; the shipped one by default' })),
    data: Type.String({ description: 'name of a data set' }),
    options: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: "the experiment's options; each has a default" }),
    ),
  },
  { additionalProperties: false },
);
const validator = Compile(Request);

const limit = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: 1e9,
    description: 'images of each part, chosen at random, the same ones in every run; all by default',
  }),
);

/** The options of a job: those of its experiment, and how many images. */
export const optionsOf = ({ options }: Pick<Experiment, 'options'>): TObject =>
  Type.Object({ limit, ...Type.Partial(options).properties }, { additionalProperties: false });

/**
 * Reads what a client asks for.
 * @throws Problem analysis-malformed, unknown-experiment, unknown-model, model-unavailable, not-invertible, unknown-dataset,
 * option-invalid
 */
export function readRequest(body: unknown, engine: Engine, datasets: Datasets): Asked {
  const { experiment: name, model, data, options = {} } = bodyOf(body);
  const experiment = named(name);
  checkOptions(experiment, options);
  const manifest = experiment.needs.inverse ? invertibleOf(engine, model) : modelOf(engine, model);
  if (!datasets.has(data)) {
    const known = [...datasets.keys()].join(', ') || 'none';
    throw new Problem(
      'unknown-dataset',
      `there is no data set ${JSON.stringify(data.slice(0, 64))}; there is ${known}`,
    );
  }
  return { experiment: name, model: manifest.name, data, options };
}

function bodyOf(body: unknown): Static<typeof Request> {
  const value = parsed(body);
  if (validator.Check(value)) return value;
  throw new Problem('analysis-malformed', problemsOf(validator, value, 'the body'));
}

function parsed(body: unknown): unknown {
  if (!Buffer.isBuffer(body) || body.length === 0) throw new Problem('analysis-malformed', 'the request has no body');
  try {
    return parseJson(body);
  } catch (error) {
    throw new Problem('analysis-malformed', `the body cannot be read as JSON: ${(error as Error).message}`);
  }
}

function named(name: string): Experiment {
  try {
    return experimentNamed(name.slice(0, 64));
  } catch (error) {
    throw error instanceof AnalysisError ? new Problem('unknown-experiment', error.message) : error;
  }
}

function checkOptions(experiment: Experiment, options: object): void {
  try {
    readOptions({ ...experiment, options: optionsOf(experiment) }, options);
  } catch (error) {
    throw error instanceof AnalysisError ? new Problem('option-invalid', error.message) : error;
  }
}

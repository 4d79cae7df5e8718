import type { Static, TObject, TSchema } from 'typebox';
import { Check, Default, Errors } from 'typebox/value';
import { isInvertible } from '../../export/networks/network.js';
import type { Context } from './context.js';
import { AnalysisError } from './errors.js';
import type { Figure } from './figure.js';

/** What an experiment cannot do without. */
export interface Needs {
  /** 'test': images to try; 'train': those, and others to learn from. */
  readonly data?: 'test' | 'train';
  /** Images of two classes or more, with their labels. */
  readonly labels?: boolean;
  /** A network that can be inverted. */
  readonly inverse?: boolean;
}

/**
 * One experiment: what it needs, what can be set, what it gives. Schemas carry definitions and units in their
 * descriptions. Every option has a default.
 */
export interface Experiment<O extends TObject = TObject, R extends TSchema = TSchema> {
  readonly name: string;
  readonly title: string;
  /** What it measures, in a sentence or two. */
  readonly description: string;
  readonly needs: Needs;
  readonly options: O;
  readonly result: R;
  /** @throws AnalysisError where it cannot run; the signal's reason when it is aborted */
  run(context: Context, options: Static<O>): Promise<Static<R>>;
  figure(result: Static<R>): Figure;
}

/** An experiment whose functions are checked against its schemas. */
export const experiment = <O extends TObject, R extends TSchema>(definition: Experiment<O, R>): Experiment<O, R> =>
  definition;

/** Options that were given, completed by defaults. @throws AnalysisError naming the options that are wrong */
export function readOptions<O extends TObject>({ name, options }: Experiment<O>, given: object): Static<O> {
  const unknown = Object.keys(given).filter((key) => !Object.hasOwn(options.properties, key));
  const known = Object.keys(options.properties).join(', ') || 'none';
  if (unknown.length > 0)
    throw new AnalysisError('option-invalid', `${name} has no option ${unknown.join(', ')}; it has: ${known}`);
  const complete = Default(options, { ...given });
  if (Check(options, complete)) return complete;
  const wrong = Errors(options, complete).map(({ instancePath, message }) => `${instancePath.slice(1)} ${message}`);
  throw new AnalysisError('option-invalid', `options of ${name}: ${wrong.join('; ')}`);
}

/** Runs an experiment with options as a user gives them. @throws AnalysisError where it cannot run */
export async function runExperiment<O extends TObject, R extends TSchema>(
  chosen: Experiment<O, R>,
  context: Context,
  given: object = {},
): Promise<Static<R>> {
  const options = readOptions(chosen, given);
  checkNeeds(chosen, context);
  return chosen.run(context, options);
}

/** @throws AnalysisError where the model or the data lack what the experiment needs */
export function checkNeeds({ name, needs }: Pick<Experiment, 'name' | 'needs'>, { model, data }: Context): void {
  if (needs.inverse && !isInvertible(model.network))
    throw new AnalysisError(
      'not-invertible',
      `${name} needs Φ⁻¹, and the network of ${model.manifest.name} has none; choose an invertible network`,
    );
  if (needs.data === undefined) return;
  if (data === undefined)
    throw new AnalysisError('data-missing', `${name} needs images, and no data set is named; name one with --data`);
  if (needs.data === 'train' && data.train === undefined)
    throw new AnalysisError(
      'data-missing',
      `${name} learns from training images, and ${data.name} has none; choose a data set with a part for training`,
    );
  const parts = { training: needs.data === 'train' ? data.train : undefined, test: data.test };
  for (const [part, images] of Object.entries(parts)) {
    if (images && images.count === 0) throw new AnalysisError('too-few-images', `${data.name} has no ${part} images`);
    if (images && needs.labels) checkLabels(name, `the ${part} images of ${data.name}`, data.classes, images.labels);
  }
}

function checkLabels(name: string, which: string, classes: Data['classes'], labels: Uint16Array): void {
  if (classes === undefined)
    throw new AnalysisError('data-unlabelled', `${name} needs labels, and ${which} have none; choose labelled images`);
  if (new Set(labels).size < 2)
    throw new AnalysisError(
      'data-one-class',
      `${name} tells classes apart, and ${which} are all ${classes[labels[0]!]}; choose images of two classes or more`,
    );
}

type Data = NonNullable<Context['data']>;

import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { packagePath } from '../files/package.js';
import { problemsOf } from '../files/schema.js';
import { decodeText } from '../files/text.js';
import { MODEL_NAME } from '../model/manifest.js';
import { configurations } from '../networks/configurations.js';
import { buildNetwork, type Specification } from '../networks/index.js';
import { readSpecification } from '../networks/read.js';

const whole = (minimum: number) => Type.Integer({ minimum });
const share = Type.Number({ minimum: 0, maximum: 1 });
const strict = { additionalProperties: false };

/** How a network is trained on a data set. */
export const Settings = Type.Object(
  {
    /** Passes over the training set. */
    epochs: whole(1),
    /** Ends the run after this many steps of the same schedule; 0 or absent: after the last epoch. */
    steps: Type.Optional(whole(0)),
    /** Images a step. */
    batch: whole(2),
    schedule: Type.Object(
      {
        kind: Type.Enum(['one-cycle', 'cosine', 'steps']),
        peak: Type.Number({ exclusiveMinimum: 0 }),
        /** Of 'steps': the epochs after which the rate is multiplied by the factor. */
        decayAfter: Type.Optional(Type.Array(whole(1), { minItems: 1 })),
        decayFactor: Type.Optional(Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 })),
      },
      strict,
    ),
    /** Of Nesterov. */
    momentum: share,
    /** L2 penalty on every parameter. */
    weightDecay: share,
    /** Share of a label that is spread over all classes. */
    labelSmoothing: share,
    /** Weight in the loss of the squares of what the blocks add to the streams. */
    residualPenalty: Type.Number({ minimum: 0, maximum: 10 }),
    /** Decay of the moving average of the weights, which is the result of the run; 0 or absent: no average. */
    average: Type.Optional(Type.Number({ minimum: 0, exclusiveMaximum: 1 })),
    augmentation: Type.Object(
      {
        /** Smallest share of the area in a random crop that is scaled to the whole image; absent: no such crop. */
        resizedCrop: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
        /** Largest shift in pixels, as a crop of the padded image. */
        shift: whole(0),
        flip: Type.Boolean(),
        /** Share of the images in which a random rectangle is erased. */
        erase: Type.Optional(share),
      },
      strict,
    ),
    /** Whether activations are recomputed by the blocks' inverses instead of kept: less memory, more time. */
    reversible: Type.Optional(Type.Boolean()),
    /** Training images that are set aside to validate on. */
    validation: whole(0),
    /** Of everything random. */
    seed: whole(0),
  },
  strict,
);
export type Settings = Static<typeof Settings>;

/** A recipe as a JSON file: the network is a name of the table, or a JSON file beside the recipe. */
const RecipeFile = Type.Object(
  { network: Type.String(), dataset: Type.String({ pattern: MODEL_NAME.source }), settings: Settings },
  strict,
);

/** A network with the name that models and run folders get from it. */
export interface NamedNetwork extends Specification {
  readonly name: string;
}

/** Everything that decides the result of a run, apart from the weights it may start from. */
export interface Recipe {
  readonly network: NamedNetwork;
  /** Name of a known data set, or of data of one's own. */
  readonly dataset: string;
  readonly settings: Settings;
}

/** A recipe that cannot be used; the message names the file and every field that is missing or wrong. */
export class RecipeError extends Error {
  override readonly name = 'RecipeError';
}

const FOLDER = packagePath('export', 'train', 'recipes');

/** The recipe that `irevnet train` takes when none is named. */
export const DEFAULT_RECIPE = 'fashion-mnist';

/** Names of the recipes that ship with the package. */
export const recipeNames: readonly string[] = readdirSync(FOLDER)
  .map((file) => basename(file, '.json'))
  .sort();

const validator = Compile(RecipeFile);
const settingsValidator = Compile(Settings);

/**
 * Reads a recipe.
 * @param nameOrFile a recipe of the package, or a JSON file
 * @throws RecipeError, ConfigError, EncodingError
 */
export async function readRecipe(nameOrFile: string): Promise<Recipe> {
  const file = recipeNames.includes(nameOrFile) ? resolve(FOLDER, `${nameOrFile}.json`) : nameOrFile;
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new RecipeError(
      `${nameOrFile} is no recipe's name and no file (${error.code}); names: ${recipeNames.join(', ')}`,
    );
  });
  const { network, dataset, settings } = parsed(file, decodeText(bytes, file));
  checkSettings(settings, file);
  const source = Object.hasOwn(configurations, network) ? network : resolve(dirname(file), network);
  return { network: await readNetwork(source), dataset, settings };
}

function parsed(file: string, text: string): Static<typeof RecipeFile> {
  let recipe: unknown;
  try {
    recipe = JSON.parse(text);
  } catch (error) {
    throw new RecipeError(`${file} is not JSON: ${(error as Error).message}`);
  }
  if (validator.Check(recipe)) return recipe;
  throw new RecipeError(`${file}: ${problemsOf(validator, recipe, 'recipe')}`);
}

/**
 * Checks settings, also for what the schema does not say.
 * @param where they come from, for the message
 * @throws RecipeError
 */
export function checkSettings(settings: Settings, where: string): void {
  if (!settingsValidator.Check(settings))
    throw new RecipeError(`${where}: ${problemsOf(settingsValidator, settings, 'settings')}`);
  const { kind, decayAfter, decayFactor } = settings.schedule;
  const given = [decayAfter, decayFactor].filter((value) => value !== undefined).length;
  if (kind === 'steps' && given < 2)
    throw new RecipeError(
      `${where}: a schedule of kind steps needs decayAfter, the epochs after which the rate falls, and decayFactor, by which it is multiplied`,
    );
  if (kind !== 'steps' && given > 0)
    throw new RecipeError(
      `${where}: decayAfter and decayFactor belong to a schedule of kind steps, and this one is ${kind}`,
    );
}

/** @param nameOrFile a network of the table, or a JSON file {architecture, config} @throws ConfigError */
export async function readNetwork(nameOrFile: string): Promise<NamedNetwork> {
  const { architecture, config } = await readSpecification(nameOrFile);
  buildNetwork({ architecture, config });
  return { name: basename(nameOrFile, '.json'), architecture, config };
}

/** The name of the model that a recipe trains: `<network>-<data set>`, or their name where both have the same. */
export const modelNameOf = ({ network, dataset }: Recipe): string =>
  network.name === dataset ? dataset : `${network.name}-${dataset}`;

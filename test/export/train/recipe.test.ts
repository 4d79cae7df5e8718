import { join } from 'node:path';
import t from 'tap';
import { knownDatasets } from '../../../export/data/index.js';
import { packagePath } from '../../../export/files/package.js';
import { readModelFolder } from '../../../export/model/folder.js';
import { buildNetwork } from '../../../export/networks/index.js';
import { DEFAULT_RECIPE, modelNameOf, readRecipe, recipeNames } from '../../../export/train/recipe.js';
import { small } from '../../helpers/networks.js';

t.test('every recipe of the package can be read, and its network fits its data set', async (t) => {
  t.ok(recipeNames.includes(DEFAULT_RECIPE));
  for (const name of recipeNames) {
    const { network, dataset } = await readRecipe(name);
    t.equal(buildNetwork(network).classes, knownDatasets[dataset]!.labels.length, name);
  }
});

for (const [model, images] of Object.entries({ 'fashion-mnist': 60_000, 'cifar-10': 50_000 })) {
  t.test(`the recipe ${model} trained the model that ships`, async (t) => {
    const recipe = await readRecipe(model);
    const { name, architecture, training } = await readModelFolder(packagePath('onnx', model));
    t.equal(modelNameOf(recipe), name);
    t.same(recipe.network.config, architecture.config);
    const { dataset, from, stepsDone, steps, ...settings } = training!;
    t.same(recipe.settings, settings);
    t.equal(recipe.dataset, dataset);
    t.equal(stepsDone, recipe.settings.epochs * Math.floor(images / recipe.settings.batch), 'to the last epoch');
  });
}

t.test('a recipe may be any JSON file, and its network a JSON file beside it', async (t) => {
  const { settings } = await readRecipe(DEFAULT_RECIPE);
  const recipe = { network: 'tiny.json', dataset: 'fashion-mnist', settings };
  const folder = t.testdir({
    'mine.json': JSON.stringify(recipe),
    'tiny.json': JSON.stringify({ architecture: 'irevnet', config: small }),
  });
  const read = await readRecipe(join(folder, 'mine.json'));
  t.same(read, { ...recipe, network: { name: 'tiny', architecture: 'irevnet', config: small } });
  t.equal(modelNameOf(read), 'tiny-fashion-mnist');
});

t.test('a recipe that cannot be used says why', async (t) => {
  const good = { network: 'fashion-mnist', dataset: 'fashion-mnist', settings: {} };
  const { settings } = await readRecipe(DEFAULT_RECIPE);
  const broken: Record<string, [content: string, message: RegExp]> = {
    'no JSON': ['{', /recipe\.json is not JSON: /],
    'no object': ['[]', /recipe\.json: recipe must be object/],
    'missing fields': [JSON.stringify(good), /recipe\.json: settings must have required properties epochs, batch, /],
    'a field of the wrong kind': [
      JSON.stringify({ ...good, settings: { ...settings, batch: 1, augmentation: { shift: 'far', flip: true } } }),
      /settings\.batch must be >= 2; settings\.augmentation\.shift must be integer/,
    ],
    'a field that there is not': [
      JSON.stringify({ ...good, settings: { ...settings, batchSize: 3 } }),
      /recipe\.json: settings has no field batchSize; its fields are epochs, steps, batch, /,
    ],
    'a field of the augmentation that there is not': [
      JSON.stringify({
        ...good,
        settings: { ...settings, augmentation: { shift: 1, flip: true, mirror: 1, zoom: 2 } },
      }),
      /settings\.augmentation has no field mirror, zoom; its fields are resizedCrop, shift, flip, erase$/,
    ],
    'a schedule of steps without them': [
      JSON.stringify({ ...good, settings: { ...settings, schedule: { kind: 'steps', peak: 0.1, decayAfter: [2] } } }),
      /a schedule of kind steps needs decayAfter, .* and decayFactor/,
    ],
    'steps of another schedule': [
      JSON.stringify({ ...good, settings: { ...settings, schedule: { kind: 'cosine', peak: 0.1, decayFactor: 0.5 } } }),
      /decayAfter and decayFactor belong to a schedule of kind steps, and this one is cosine/,
    ],
    'a name that no data can have': [
      JSON.stringify({ ...good, settings, dataset: 'My Data' }),
      /recipe\.json: dataset must match pattern/,
    ],
    'an unknown network': [
      JSON.stringify({ ...good, settings, network: 'vgg' }),
      /vgg is no network's name and no file \(ENOENT\); names: fashion-mnist, /,
    ],
  };
  for (const [name, [content, message]] of Object.entries(broken)) {
    const folder = t.testdir({ 'recipe.json': content });
    await t.rejects(readRecipe(join(folder, 'recipe.json')), { message }, name);
  }
  await t.rejects(readRecipe('nothing'), {
    name: 'RecipeError',
    message: `nothing is no recipe's name and no file (ENOENT); names: ${recipeNames.join(', ')}`,
  });
});

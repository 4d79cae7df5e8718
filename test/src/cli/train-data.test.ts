import t from 'tap';
import { readRecipe } from '../../../export/train/recipe.js';
import { settingsFor } from '../../../src/cli/train-data.js';

t.test('of data of one’s own a tenth, at most 2,000 images, is set aside to validate on', async (t) => {
  const { settings } = await readRecipe('cifar-10');
  t.equal(settings.validation, 0, 'the recipe sets none aside');
  t.match(settingsFor(settings, 100_000), { validation: 2000, batch: settings.batch });
  t.match(settingsFor({ ...settings, validation: 500 }, 100_000), { validation: 500 });
  t.match(settingsFor(settings, 400), { validation: 40, batch: 45 }, 'of few images a batch has fewer');
  t.match(settingsFor(settings, 5), { validation: 0, batch: 2 });
});

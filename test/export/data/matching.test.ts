import t from 'tap';
import { matchClasses } from '../../../export/data/matching.js';

const model = ['Shirt', 'Sneaker', 'Bag'];
const match = (labels: string[], keys = labels) => matchClasses({ path: 'data', labels, keys }, model);

t.test('classes are matched by name in any order, also a part of them, else by order', async (t) => {
  t.same(match(['Shirt', 'Sneaker', 'Bag']), { numbers: [0, 1, 2], how: 'name' });
  t.same(match(['bag', 'shirt ', 'sneaker']), { numbers: [2, 0, 1], how: 'name' });
  t.same(match(['Bag', 'Sneaker']), { numbers: [2, 1], how: 'name' });
  t.same(match(['x', 'y'], ['Bag', 'Shirt']), { numbers: [2, 0], how: 'name' }, 'what the data call them counts too');
  t.same(match(['0', '1', '2']), { numbers: [0, 1, 2], how: 'order' });
  t.same(
    matchClasses({ path: 'data', labels: ['crane', 'crane'], keys: ['n1', 'n2'] }, ['Crane', 'crane']),
    { numbers: [0, 1], how: 'name' },
    'a name that two classes have',
  );
});

t.test('classes that do not fit are refused', async (t) => {
  t.throws(() => match(['Bag', 'Hat']), {
    name: 'DatasetError',
    message:
      /^data has 2 classes, the model 3 \(Shirt, Sneaker, Bag, …\); expected as many, or names that the model has\. It does not have: Hat\. Name the classes/,
  });
  t.throws(() => match(['0', '1', '2', '3']), /data has 4 classes, the model 3/);
});

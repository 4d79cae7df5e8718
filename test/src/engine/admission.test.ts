import t from 'tap';
import { createAdmission } from '../../../src/engine/admission.js';

t.test('admission bounds the images in the service, and estimates when there is room', async (t) => {
  let clock = 0;
  t.intercept(performance, 'now', { value: () => clock });
  const admission = createAdmission(4);
  const release = admission.enter(6);
  t.equal(admission.inside(), 6, 'an empty service accepts a request of any size');
  t.match(admission.lack(), { code: 'overloaded', retryAfter: 1 });
  clock = 2000;
  release();
  release();
  t.equal(admission.inside(), 0, 'slots are released once');
  t.equal(admission.lack(), undefined);
  const releases = [1, 1, 1, 1].map((n) => admission.enter(n));
  t.throws(() => admission.enter(1), {
    code: 'overloaded',
    message: '4 images are under way, and 1 more do not fit into 4',
  });
  t.equal(admission.inside(), 4, 'a refused request takes no slot');
  clock = 3000;
  releases[0]!();
  t.throws(() => admission.enter(2), { code: 'overloaded', retryAfter: 1 }, 'seven images in two seconds');
  clock = 63_000;
  releases[1]!();
  t.throws(() => admission.enter(3), { code: 'overloaded', retryAfter: 20 }, 'two inside, one answered in ten seconds');
  admission.enter(2);
  t.match(admission.lack(), { retryAfter: 40 }, 'four inside');
});

import t from 'tap';
import { trend } from '../../bench/statistics.js';
import { seeded } from '../../export/data/random.js';

const POINTS = 600;
const x = Array.from({ length: POINTS }, (_, i) => i / POINTS);

/** Noise of variance 1 in which a point is like the one before it, to this degree. */
function noise(likeness: number, seed: number): number[] {
  const random = seeded(seed);
  const draw = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  let value = draw();
  return x.map(() => {
    value = likeness * value + Math.sqrt(1 - likeness ** 2) * draw();
    return value;
  });
}

const heldIn = (slope: number, likeness: number, cases: number) =>
  Array.from({ length: cases }, (_, seed) => {
    const { from, to } = trend(
      x,
      noise(likeness, seed).map((v, i) => v + slope * x[i]!),
    );
    return from <= slope && slope <= to;
  }).filter(Boolean).length / cases;

t.test('the slope of a line is found, and no doubt is left about it', async (t) => {
  const { slope, from, to } = trend(
    x,
    x.map((v) => 5 - 3 * v),
  );
  t.match(
    [slope, from, to].map((v) => Math.round(v * 1e6) / 1e6),
    [-3, -3, -3],
  );
});

t.test('the interval of a slope holds it, also where points are like their neighbours', async (t) => {
  const independent = heldIn(2, 0, 400);
  t.ok(independent > 0.92 && independent < 0.98, `${independent} where they are independent`);
  const swinging = heldIn(2, Math.exp(-10 / POINTS), 400);
  t.ok(swinging > 0.85 && swinging < 0.98, `${swinging} where swings last a tenth of the time`);
});

t.test('growth that stands out from such swings is told', async (t) => {
  const { slope, from } = trend(
    x,
    noise(Math.exp(-20 / POINTS), 1).map((v, i) => v + 15 * x[i]!),
  );
  t.ok(from > 0 && slope > from);
});

import type { Random } from '../../export/data/random.js';
import { vjp } from '../../export/graph/grad.js';
import { constant, type Value } from '../../export/graph/graph.js';
import { mul } from '../../export/graph/ops/elementwise.js';
import { reduceSum } from '../../export/graph/ops/reduce.js';
import { staticShape } from '../../export/graph/shape.js';
import { type Tensor, tensor } from '../../export/graph/tensor.js';
import { evaluate, inputLike, noise, sessionOf } from './graph.js';

const DELTA = 1e-2;

/**
 * Compares reverse-mode gradients of Σ w·f(x) with central differences, for every element of every float input.
 * @returns the largest difference, relative to the largest gradient element
 */
export async function gradientError(
  f: (inputs: Value[]) => readonly Value[],
  data: readonly Tensor[],
  random: Random,
): Promise<number> {
  // Integers are constants: an index table's gradient rule reads it.
  const leaves = data.map((t, i) => (t.type === 'float32' ? inputLike(`x${i}`, t) : constant(t)));
  const inputs = leaves.filter((x) => x.source.kind === 'input');
  const feeds = Object.fromEntries(data.flatMap((t, i) => (t.type === 'float32' ? [[`x${i}`, t]] : [])));
  const outputs = f(leaves);
  const weights = outputs.map((y) => constant(noise(staticShape(y.type.shape), random)));
  const gradients = vjp(outputs, weights, inputs);
  const reverse = await evaluate(
    { name: 'vjp', inputs, outputs: Object.fromEntries(gradients.map((g, i) => [`g${i}`, g])) },
    feeds,
  );
  const sums = outputs.map((y, i) => {
    const weighted = mul(y, weights[i]!);
    return reduceSum(
      weighted,
      weighted.type.shape.map((_, axis) => axis),
    );
  });
  const forward = await sessionOf({
    name: 'loss',
    inputs,
    outputs: Object.fromEntries(sums.map((s, i) => [`s${i}`, s])),
  });
  const loss = async (at: Record<string, Tensor>) =>
    Object.values(await forward.run(at)).reduce((a, s) => a + Number(s.data[0]), 0);
  let [worst, largest] = [0, 1e-3];
  for (const [g, x] of inputs.entries()) {
    const name = x.source.kind === 'input' ? x.source.name : '';
    const at = feeds[name]!;
    for (let i = 0; i < at.data.length; i++) {
      const moved = (by: number) => {
        const copy = Float32Array.from(at.data as Float32Array);
        copy[i]! += by;
        return { ...feeds, [name]: tensor('float32', at.dims, copy) };
      };
      const numeric = ((await loss(moved(DELTA))) - (await loss(moved(-DELTA)))) / (2 * DELTA);
      const analytic = Number(reverse[`g${g}`]!.data[i]);
      worst = Math.max(worst, Math.abs(numeric - analytic));
      largest = Math.max(largest, Math.abs(analytic));
    }
  }
  await forward.release();
  return worst / largest;
}

import type { Random } from '../../export/data/random.js';
import { jvp, vjp } from '../../export/graph/grad.js';
import { constant, type Value } from '../../export/graph/graph.js';
import { staticShape } from '../../export/graph/shape.js';
import { type Tensor, tensor } from '../../export/graph/tensor.js';
import { inputLike, noise, sessionOf } from './graph.js';

const DELTA = 1e-2;

/** How far derivatives are off, as a share of the largest element compared. */
export interface DerivativeErrors {
  /** Jᵀu against the central differences of ⟨u, f⟩ along every element of every input. */
  readonly vjp: number;
  /** Jv against the central difference of f along v. */
  readonly jvp: number;
  /** ⟨u, Jv⟩ against ⟨Jᵀu, v⟩. */
  readonly adjoint: number;
}

/**
 * Compares the derivatives of f in both modes with central differences and with each other. Integers among the data are
 * constants: they have no derivative, and gather's rule reads them.
 * @param differenced the function whose differences are taken, where a rule is not that of f itself
 */
export async function derivativeErrors(
  f: (inputs: Value[]) => readonly Value[],
  data: readonly Tensor[],
  random: Random,
  differenced = f,
): Promise<DerivativeErrors> {
  const leaves = data.map((t, i) => (t.type === 'float32' ? inputLike(`x${i}`, t) : constant(t)));
  const inputs = leaves.filter((x) => x.source.kind === 'input');
  const at = data.filter((t) => t.type === 'float32').map(numbers);
  const outputs = f(leaves);
  const [u, v] = [outputs, inputs].map((values) => values.map((x) => noise(staticShape(x.type.shape), random))) as [
    Tensor[],
    Tensor[],
  ];
  const [weights, direction] = [u.map(numbers), v.map(numbers)];
  const pulled = await evaluated(inputs, vjp(outputs, u.map(constant), inputs));
  const pushed = await evaluated(inputs, jvp(outputs, inputs, v.map(constant)));
  const values = await evaluated(inputs, differenced(leaves));
  const [gradients, tangents] = [await pulled.at(at), await pushed.at(at)];
  const slopeAlong = async (direction: readonly number[][]) => {
    const [above, below] = [
      await values.at(moved(at, direction, DELTA)),
      await values.at(moved(at, direction, -DELTA)),
    ];
    return above.map((y, o) => y.map((value, i) => (value - below[o]![i]!) / (2 * DELTA)));
  };
  const slopes: number[][] = [];
  for (const [input, { length }] of at.entries()) {
    slopes.push([]);
    for (let i = 0; i < length; i++) {
      const unit = at.map((x, k) => x.map((_, j) => Number(k === input && j === i)));
      slopes[input]!.push(dot(weights, await slopeAlong(unit)));
    }
  }
  const errors = {
    vjp: relative(gradients, slopes),
    jvp: relative(tangents, await slopeAlong(direction)),
    adjoint: relative([[dot(weights, tangents)]], [[dot(gradients, direction)]]),
  };
  for (const session of [pulled, pushed, values]) await session.release();
  return errors;
}

const numbers = ({ data }: Tensor): number[] => Array.from(data, Number);

const moved = (at: readonly number[][], direction: readonly number[][], by: number): number[][] =>
  at.map((x, i) => x.map((value, j) => value + by * direction[i]![j]!));

function dot(a: readonly number[][], b: readonly number[][]): number {
  const [left, right] = [a.flat(), b.flat()];
  return left.reduce((sum, value, i) => sum + value * right[i]!, 0);
}

function relative(a: readonly number[][], b: readonly number[][]): number {
  const expected = b.flat();
  const largest = Math.max(1e-3, ...expected.map(Math.abs));
  return Math.max(0, ...a.flat().map((value, i) => Math.abs(value - expected[i]!))) / largest;
}

/** Values as a function of numbers, one list for each input and output. */
async function evaluated(inputs: readonly Value[], outputs: readonly Value[]) {
  const named = Object.fromEntries(outputs.map((y, i) => [`y${i}`, y]));
  const session = await sessionOf({ name: 'function', inputs, outputs: named });
  return {
    at: async (x: readonly number[][]) => {
      const feeds = inputs.map((leaf, i) => [
        leaf.source.kind === 'input' ? leaf.source.name : '',
        tensor('float32', staticShape(leaf.type.shape), x[i]!),
      ]);
      const got = await session.run(Object.fromEntries(feeds));
      return outputs.map((_, i) => numbers(got[`y${i}`]!));
    },
    release: () => session.release(),
  };
}

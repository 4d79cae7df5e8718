import { vjp } from '../graph/grad.js';
import { input, scalar, topological, type Value, zerosLike } from '../graph/graph.js';
import { add, mul, sumOf } from '../graph/ops/elementwise.js';
import { reshape, slice } from '../graph/ops/movement.js';
import { staticShape } from '../graph/shape.js';
import { sizeOf } from '../graph/tensor.js';
import { batchInnermost, type Laid, type Lowered } from '../lower/batch-innermost.js';
import { withBatchStatistics } from '../lower/batch-statistics.js';
import { ConfigError, type Network, type Part, type State } from '../networks/network.js';
import type { StoredParameters } from './packing.js';

/** What a loss asks of the state before a part: scalars that are added to it. */
export type Asked = (part: Part, before: State) => readonly Value[];

/** A part of a network, with the values of the forward pass. */
interface Passed {
  readonly part: Part;
  readonly before: State;
  readonly after: State;
  /** What is asked of a part that has no inverse. */
  readonly asked: readonly Value[];
}

/**
 * The parts of all blocks, with the states between them.
 * @throws ConfigError where no part has an inverse
 */
export function passes({ blocks }: Network, start: State, asked: Asked): Passed[] {
  const parts = blocks.flatMap((block) => block.parts);
  if (!parts.some(({ inverse }) => inverse))
    throw new ConfigError('reversible needs blocks that have an inverse, and this network has none; set it to false');
  let after = start;
  return parts.map((part) => {
    const before = after;
    after = part.forward(before);
    return { part, before, after, asked: part.inverse ? [] : asked(part, before) };
  });
}

/**
 * Gradients of a loss and of what is asked, with the activations of parts that have an inverse recomputed: backwards, the
 * state after a part gives the state before it, so that no more than the activations of one part are in memory. Gomez,
 * Ren, Urtasun, Grosse, NeurIPS 2017, section 3.2.
 * @param forward the forward pass as it is trained
 * @returns one gradient for each piece of the parameters
 */
export function recomputedGradients(
  passed: readonly Passed[],
  asked: Asked,
  loss: Value,
  forward: Lowered,
  stored: StoredParameters,
): Value[] {
  const gradients = new Gradients(stored);
  let after = passed.at(-1)!.after.map(forward.own);
  let arriving = gradients.pull([loss], [scalar(1)], after);
  for (const pass of [...passed].reverse()) {
    const layouts = after.map(({ packed }) => packed);
    const segment = pass.part.inverse
      ? recomputed(pass, tied(after, arriving.all), asked, stored)
      : { graph: forward, ...pass };
    const outputs = [...laid(segment.graph, segment.after, layouts), ...segment.asked.map(segment.graph.plain)];
    const cotangents = [...arriving.states, ...segment.asked.map(() => scalar(1))];
    after = segment.before.map(segment.graph.own);
    arriving = gradients.pull(outputs, cotangents, after);
  }
  const start = laid(
    forward,
    passed[0]!.before,
    after.map(({ packed }) => packed),
  );
  gradients.pull(start, arriving.states, []);
  return gradients.ofPieces();
}

/** A state in the layouts in which its gradient arrives. */
const laid = (graph: Lowered, state: State, packed: readonly boolean[]): Value[] =>
  state.map((v, i) => graph.in(packed[i]!, v));

/** A part computed again from the state after it, in the form that is trained. */
function recomputed(
  { part, after }: Passed,
  found: readonly Laid[],
  asked: Asked,
  stored: StoredParameters,
): { graph: Lowered } & Pick<Passed, 'before' | 'after' | 'asked'> {
  const known = after.map((v, i) => input(`after${i}`, v.type.dtype, v.type.shape));
  const before = part.inverse!(known);
  const segment = { before, after: part.forward(before), asked: asked(part, before) };
  const values = Object.values(segment).flat();
  const { renamed } = withBatchStatistics(values);
  const given = new Map(known.map((v, i) => [v, found[i]!]));
  return { graph: batchInnermost(values.map(renamed), stored.as, given).after(renamed), ...segment };
}

/**
 * A state that waits for values: 0 × an element of each is added. ONNX Runtime would otherwise recompute every state first and
 * keep them all.
 */
function tied(state: readonly Laid[], values: readonly Value[]): Laid[] {
  const zero = mul(sumOf(values.map(firstElement)), 0);
  return state.map(({ value, packed }) => ({ value: add(value, zero), packed }));
}

const firstElement = (v: Value): Value => reshape(slice(reshape(v, [sizeOf(staticShape(v.type.shape))]), 0, 0, 1), []);

/** Gradients of the pieces of the parameters, added up as they come. */
class Gradients {
  private readonly sums = new Map<Value, Value>();

  constructor(private readonly stored: StoredParameters) {}

  /** Pulls gradients back to a state, and to the pieces on the way there. */
  pull(
    outputs: readonly Value[],
    cotangents: readonly Value[],
    before: readonly Laid[],
  ): Record<'states' | 'all', readonly Value[]> {
    const states = before.map(({ value }) => value);
    const until = new Set([...states, ...this.stored.pieces]);
    const used = new Set(topological(outputs, until).flatMap(({ inputs }) => inputs));
    const pieces = this.stored.pieces.filter((piece) => used.has(piece));
    const all = vjp(outputs, cotangents, [...states, ...pieces], until);
    pieces.forEach((piece, i) => {
      const gradient = all[states.length + i]!;
      const sum = this.sums.get(piece);
      this.sums.set(piece, sum === undefined ? gradient : add(sum, gradient));
    });
    return { states: all.slice(0, states.length), all };
  }

  ofPieces = (): Value[] => this.stored.pieces.map((piece) => this.sums.get(piece) ?? zerosLike(piece));
}

import { apply, bind, type Node, topological, type Value } from '../graph/graph.js';
import type { OpDef } from '../graph/op.js';
import { broadcasting, type ReduceOptions } from '../graph/ops/broadcast.js';
import { convolutions } from '../graph/ops/conv.js';
import { elementwise } from '../graph/ops/elementwise.js';
import { concat, movement, reshape, split, transpose } from '../graph/ops/movement.js';
import { reduce } from '../graph/ops/reduce.js';
import { staticShape } from '../graph/shape.js';
import { convolutionAsProducts } from './convolution.js';
import type { Four, StoredWeights } from './layer.js';

/** A value of the new graph, and the layout it has. */
export interface Laid {
  readonly value: Value;
  /** Whether it is [H·W, C, N] instead of [N, C, H, W]. */
  readonly packed: boolean;
}

/** Where the values of the old graph went. */
export interface Lowered {
  /** In the usual layout. */
  plain(v: Value): Value;
  /** In the layout in which it is computed. */
  own(v: Value): Laid;
  in(packed: boolean, v: Value): Value;
  /** The same for values of the graph before another rewriting. */
  after(rewriting: (v: Value) => Value): Lowered;
}

/**
 * Moves a graph of images [N, C, H, W] into the layout [H·W, C, N], the batch innermost. There ψ is nearly free and a
 * convolution becomes a few large matrix products, gradients included. Ops without a rule below run in the usual
 * layout, with a transposition before and after.
 *
 * A value is kept in the layouts that were asked for; `packed` stands for [H·W, C, N].
 * @param given leaves of the old graph, and what stands for them in the new one
 */
export function batchInnermost(
  outputs: readonly Value[],
  weights: StoredWeights,
  given: ReadonlyMap<Value, Laid> = new Map(),
): Lowered {
  const layouts = new Layouts(weights);
  for (const [leaf, { value, packed }] of given) (packed ? layouts.setPacked : layouts.setPlain)(leaf, value);
  for (const node of topological(outputs)) {
    const packed = rules.get(node.op)?.(node, layouts, weights);
    if (packed === undefined) {
      const results = bind(node.op, node.inputs.map(layouts.plain), node.attrs);
      node.outputs.forEach((y, i) => {
        layouts.setPlain(y, results[i]!);
      });
    } else {
      node.outputs.forEach((y, i) => {
        layouts.setPacked(y, packed[i]!);
      });
    }
  }
  return layouts;
}

const four = (v: Value): Four => staticShape(v.type.shape) as unknown as Four;

/** Which layouts each value of the old graph has in the new one. */
class Layouts implements Lowered {
  private readonly plains = new Map<Value, Value>();
  private readonly packeds = new Map<Value, Value>();
  /** Values that are computed packed; others may have been packed for some op that takes them. */
  private readonly computedPacked = new Set<Value>();

  constructor(private readonly weights: StoredWeights) {}

  setPlain = (v: Value, plain: Value): void => void this.plains.set(v, plain);
  setPacked = (v: Value, packed: Value): void => {
    this.packeds.set(v, packed);
    this.computedPacked.add(v);
  };
  isPacked = (v: Value): boolean => this.packeds.has(v);

  plain = (v: Value): Value => {
    if (!this.plains.has(v)) this.plains.set(v, this.unpackedOrLeaf(v));
    return this.plains.get(v)!;
  };

  packed = (v: Value): Value => {
    if (!this.packeds.has(v)) this.packeds.set(v, pack(this.plain(v), four(v)));
    return this.packeds.get(v)!;
  };

  in = (packed: boolean, v: Value): Value => (packed ? this.packed : this.plain)(v);
  own = (v: Value): Laid => {
    const packed = this.computedPacked.has(v);
    return { value: this.in(packed, v), packed };
  };

  after = (rewriting: (v: Value) => Value): Lowered => ({
    plain: (v) => this.plain(rewriting(v)),
    own: (v) => this.own(rewriting(v)),
    in: (packed, v) => this.in(packed, rewriting(v)),
    after: (other) => this.after((v) => rewriting(other(v))),
  });

  private unpackedOrLeaf(v: Value): Value {
    const packed = this.packeds.get(v);
    if (packed !== undefined) return unpack(packed, four(v));
    return v.source.kind === 'parameter'
      ? this.weights(
          v,
          v.type.shape.map((_, axis) => axis),
        )
      : v;
  }
}

function pack(v: Value, [n, c, h, w]: Four): Value {
  if (n === 1 && h * w === 1) return reshape(v, [1, c, 1]);
  return reshape(transpose(v, [2, 3, 1, 0]), [h * w, c, n]);
}

function unpack(v: Value, [n, c, h, w]: Four): Value {
  if (n === 1 && h * w === 1) return reshape(v, [1, c, 1, 1]);
  return transpose(reshape(v, [h, w, c, n]), [3, 2, 0, 1]);
}

/** A node in the packed layout, or undefined where the usual one serves better. */
type Rule<A = unknown> = (node: Node<A>, layouts: Layouts, weights: StoredWeights) => readonly Value[] | undefined;

/** An op with its rule, which sees the op's own attributes. */
const rule = <A>(op: OpDef<A>, apply: Rule<A>) => [op as OpDef<unknown>, apply as Rule] as const;

/** Element by element, the layout does not matter as long as it is one: everything of rank 4 is packed. */
const pointwise = <A>(op: OpDef<A>) =>
  rule(op, ({ inputs, attrs }, layouts) => {
    if (!inputs.some(layouts.isPacked)) return undefined;
    if (inputs.some((v) => v.type.shape.length !== 4 && v.type.shape.length !== 0)) return undefined;
    const operands = inputs.map((v) => (v.type.shape.length === 4 ? layouts.packed(v) : layouts.plain(v)));
    return [apply(op, operands, attrs)];
  });

/** Height and width are one axis here, so they are reduced together or not at all. */
const reduction = (op: OpDef<ReduceOptions>) =>
  rule(op, ({ inputs: [x], attrs: { axes, keepdims } }, layouts) => {
    const has = (axis: number) => axes.includes(axis);
    if (!layouts.isPacked(x!) || !keepdims || has(2) !== has(3)) return undefined;
    const packedAxes = [...(has(2) ? [0] : []), ...(has(1) ? [1] : []), ...(has(0) ? [2] : [])];
    return [apply(op, [layouts.packed(x!)], { axes: packedAxes, keepdims })];
  });

const { add, sub, mul, div, square, sqrt, reciprocal, relu } = elementwise;
const rules = new Map<OpDef<unknown>, Rule>([
  pointwise(add),
  pointwise(sub),
  pointwise(mul),
  pointwise(div),
  pointwise(square),
  pointwise(sqrt),
  pointwise(reciprocal),
  pointwise(relu),
  reduction(reduce.reduceMean),
  reduction(broadcasting.reduceSum),
  rule(convolutions.conv, ({ inputs: [x, w], outputs: [y], attrs }, layouts, weights) => {
    if (attrs.groups !== 1 || attrs.dilation !== 1) return undefined;
    return [convolutionAsProducts(layouts.packed(x!), four(x!), four(y!), attrs, w!, weights)];
  }),
  rule(movement.concat, ({ inputs, attrs }, layouts) =>
    attrs.axis === 1 && inputs.some(layouts.isPacked) ? [concat(inputs.map(layouts.packed), 1)] : undefined,
  ),
  rule(movement.split, ({ inputs: [x], attrs: { axis, sizes } }, layouts) =>
    axis === 1 && layouts.isPacked(x!) ? split(layouts.packed(x!), 1, sizes) : undefined,
  ),
  // (row, column) of the block become the leading channel axes: one transposition of whole rows
  rule(movement.spaceToDepth, ({ inputs: [x], outputs: [y], attrs: { block } }, layouts) => {
    const [n, c, h, w] = four(y!);
    const row = (c / block ** 2) * n;
    const apart = reshape(layouts.packed(x!), [h, block, w, block * row]);
    return [reshape(transpose(apart, [0, 2, 1, 3]), [h * w, c, n])];
  }),
  rule(movement.depthToSpace, ({ inputs: [x], outputs: [y], attrs: { block } }, layouts) => {
    if (!layouts.isPacked(x!)) return undefined;
    const [n, c, h, w] = four(y!);
    const apart = reshape(layouts.packed(x!), [h / block, w / block, block, block * c * n]);
    return [reshape(transpose(apart, [0, 2, 1, 3]), [h * w, c, n])];
  }),
]);

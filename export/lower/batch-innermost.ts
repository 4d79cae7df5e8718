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

/**
 * Moves a graph of images [N, C, H, W] into the layout [H·W, C, N], the batch innermost. There ψ is nearly free and a
 * convolution becomes a few large matrix products, gradients included. Ops without a rule below run in the usual
 * layout, with a transposition before and after.
 *
 * A value is kept in the layouts that were asked for; `packed` stands for [H·W, C, N].
 */
export function batchInnermost(outputs: readonly Value[], weights: StoredWeights): (v: Value) => Value {
  const layouts = new Layouts(weights);
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
  return layouts.plain;
}

const four = (v: Value): Four => staticShape(v.type.shape) as unknown as Four;

/** Which layouts each value of the old graph has in the new one. */
class Layouts {
  private readonly plains = new Map<Value, Value>();
  private readonly packeds = new Map<Value, Value>();

  constructor(private readonly weights: StoredWeights) {}

  setPlain = (v: Value, plain: Value): void => void this.plains.set(v, plain);
  setPacked = (v: Value, packed: Value): void => void this.packeds.set(v, packed);
  isPacked = (v: Value): boolean => this.packeds.has(v);

  plain = (v: Value): Value => {
    if (!this.plains.has(v)) this.plains.set(v, this.unpackedOrLeaf(v));
    return this.plains.get(v)!;
  };

  packed = (v: Value): Value => {
    if (!this.packeds.has(v)) this.packeds.set(v, pack(this.plain(v), four(v)));
    return this.packeds.get(v)!;
  };

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
]);

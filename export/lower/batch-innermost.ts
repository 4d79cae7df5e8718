import { apply, bind, type Node, topological, type Value } from '../graph/graph.js';
import type { OpName } from '../graph/ops/index.js';
import { concat, reshape, split, transpose } from '../graph/ops/movement.js';
import type { StoredWeights } from '../graph/rewrite.js';
import { staticShape } from '../graph/shape.js';
import { convolutionAsProducts, type Four } from './convolution.js';

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
    const packed = rules[node.op]?.(node, layouts, weights);
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
type Rule = (node: Node, layouts: Layouts, weights: StoredWeights) => readonly Value[] | undefined;

/** Element by element, the layout does not matter as long as it is one: everything of rank 4 is packed. */
const pointwise: Rule = (node, layouts) => {
  if (!node.inputs.some(layouts.isPacked)) return undefined;
  if (node.inputs.some((v) => v.type.shape.length !== 4 && v.type.shape.length !== 0)) return undefined;
  const operands = node.inputs.map((v) => (v.type.shape.length === 4 ? layouts.packed(v) : layouts.plain(v)));
  return [apply(node.op, operands, node.attrs)];
};

const reduction: Rule = (node, layouts) => {
  const { axes, keepdims } = (node as Node<'reduceMean'>).attrs;
  const [x] = node.inputs;
  const has = (axis: number) => axes.includes(axis);
  if (!layouts.isPacked(x!) || !keepdims || has(2) !== has(3)) return undefined;
  const packedAxes = [...(has(2) ? [0] : []), ...(has(1) ? [1] : []), ...(has(0) ? [2] : [])];
  return [apply(node.op as 'reduceMean', [layouts.packed(x!)], { axes: packedAxes, keepdims })];
};

const rules: Partial<Record<OpName, Rule>> = {
  add: pointwise,
  sub: pointwise,
  mul: pointwise,
  div: pointwise,
  square: pointwise,
  sqrt: pointwise,
  reciprocal: pointwise,
  relu: pointwise,
  reduceMean: reduction,
  reduceSum: reduction,
  conv: (node, layouts, weights) => {
    const { attrs, inputs, outputs } = node as Node<'conv'>;
    if (attrs.groups !== 1 || attrs.dilation !== 1) return undefined;
    const [x, w] = inputs;
    return [convolutionAsProducts(layouts.packed(x!), four(x!), four(outputs[0]!), attrs, w!, weights)];
  },
  concat: (node, layouts) => {
    if ((node as Node<'concat'>).attrs.axis !== 1 || !node.inputs.some(layouts.isPacked)) return undefined;
    return [concat(node.inputs.map(layouts.packed), 1)];
  },
  split: (node, layouts) => {
    const { axis, sizes } = (node as Node<'split'>).attrs;
    return axis === 1 && layouts.isPacked(node.inputs[0]!)
      ? split(layouts.packed(node.inputs[0]!), 1, sizes)
      : undefined;
  },
  // (row, column) of the block become the leading channel axes: one transposition of whole rows
  spaceToDepth: (node, layouts) => {
    const { block } = (node as Node<'spaceToDepth'>).attrs;
    const [n, c, h, w] = four(node.outputs[0]!);
    const row = (c / block ** 2) * n;
    const apart = reshape(layouts.packed(node.inputs[0]!), [h, block, w, block * row]);
    return [reshape(transpose(apart, [0, 2, 1, 3]), [h * w, c, n])];
  },
};

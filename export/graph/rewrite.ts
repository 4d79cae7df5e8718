import { bind, type Node, topological, type Value } from './graph.js';

/** Maps a value of the old graph to the new one. */
export type Renamed = (v: Value) => Value;

/**
 * Rebuilds a graph node by node. `rule` may give other outputs for a node; otherwise the same op is applied to the
 * rebuilt inputs. Leaves stay as they are.
 * @returns where each value of the old graph went
 */
export function rewrite(
  outputs: readonly Value[],
  rule: (node: Node, inputs: Value[]) => readonly Value[] | undefined,
): Renamed {
  const renamed = new Map<Value, Value>();
  const lookup: Renamed = (v) => renamed.get(v) ?? v;
  for (const node of topological(outputs)) {
    const inputs = node.inputs.map(lookup);
    const replaced = rule(node, inputs) ?? bind(node.op, inputs, node.attrs);
    node.outputs.forEach((y, i) => {
      renamed.set(y, replaced[i]!);
    });
  }
  return lookup;
}

/**
 * The front door of the graph builder: make values, apply ops, differentiate, write ONNX.
 *
 *     const x = input('x', 'float32', ['N', 3]);
 *     const w = parameter('w', [3, 2], { init: 'fan-in', kind: 'trained' });
 *     const bytes = emit({ name: 'linear', inputs: [x], outputs: { y: relu(matmul(x, w)) } }, placement);
 */

export { emit, type Placement } from './graph/emit.js';
export { grad, vjp } from './graph/grad.js';
export { constant, type Graph, GraphError, input, parameter, scalar, type Value } from './graph/graph.js';
export * from './graph/ops/conv.js';
export * from './graph/ops/elementwise.js';
export * from './graph/ops/matmul.js';
export * from './graph/ops/movement.js';
export * from './graph/ops/normalisation.js';
export * from './graph/ops/reduce.js';
export { type Tensor, tensor } from './graph/tensor.js';
export { architectures, buildNetwork, ConfigError, type Network } from './networks/index.js';
export { openSession, type Session } from './runtime/session.js';

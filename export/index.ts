/**
 * The front door of the graph builder: make values, apply ops, differentiate, write ONNX.
 *
 *     const x = input('x', 'float32', ['N', 3]);
 *     const w = parameter('w', [3, 2], { init: 'fan-in', kind: 'trained' });
 *     const bytes = emit({ name: 'linear', inputs: [x], outputs: { y: relu(matmul(x, w)) } }, placement);
 */

export { architectures, buildNetwork, ConfigError, type Network } from './architectures/index.js';
export { emit, type Placement } from './emit.js';
export { grad, vjp } from './grad.js';
export { constant, type Graph, GraphError, input, parameter, scalar, type Value } from './graph.js';
export * from './ops/conv.js';
export * from './ops/elementwise.js';
export * from './ops/matmul.js';
export * from './ops/movement.js';
export * from './ops/normalisation.js';
export * from './ops/reduce.js';
export { openSession, type Session } from './runtime.js';
export { type Tensor, tensor } from './tensor.js';

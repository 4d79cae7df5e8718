/**
 * Builds tensor graphs, differentiates them, writes them as ONNX and runs them:
 *
 *     import { emit, grad, input, matmul, openSession, parameter, reduceMean, square, sub, tensor } from 'irevnet/graph';
 *
 *     const x = input('x', 'float32', [1, 3]);
 *     const y = input('y', 'float32', [1, 2]);
 *     const w = parameter('w', [3, 2], { init: 'fan-in', kind: 'trained' });
 *     const loss = reduceMean(square(sub(matmul(x, w), y)), [0, 1]);
 *     const [dw] = grad(loss, [w]);
 *     const weights = tensor('float32', [3, 2], [1, 0, 0, 1, 1, 1]);
 *     const model = emit({ name: 'step', inputs: [x, y], outputs: { loss, dw } }, () => ({ kind: 'inline', tensor: weights }));
 *     const session = await openSession(model);
 *     const results = await session.run({ x: tensor('float32', [1, 3], [1, 2, 3]), y: tensor('float32', [1, 2], [4, 4]) });
 *     console.log(results.loss.data, results.dw.data);
 *     await session.release();
 *
 * A network is a list of blocks over such values: `encode(buildNetwork(configurations['irevnet-b']), x).features`.
 */

export { emit, type ParameterData } from './graph/emit.js';
export { grad, jvp, vjp } from './graph/grad.js';
export {
  constant,
  type Graph,
  GraphError,
  input,
  type Node,
  type Parameter,
  parameter,
  parametersOf,
  scalar,
  topological,
  type Value,
} from './graph/graph.js';
export { expand, reduceSum } from './graph/ops/broadcast.js';
export { conv, convTranspose } from './graph/ops/conv.js';
export {
  abs,
  add,
  cast,
  clip,
  div,
  equal,
  exp,
  less,
  mul,
  neg,
  reciprocal,
  relu,
  round,
  sqrt,
  square,
  step,
  sub,
} from './graph/ops/elementwise.js';
export { gatherOrZero } from './graph/ops/gather.js';
export { gemm, matmul } from './graph/ops/matmul.js';
export {
  concat,
  depthToSpace,
  pad,
  reshape,
  slice,
  spaceToDepth,
  split,
  transpose,
} from './graph/ops/movement.js';
export { batchNorm, logSoftmax } from './graph/ops/normalisation.js';
export { topK } from './graph/ops/order.js';
export { maxPool } from './graph/ops/pool.js';
export { reduceMax, reduceMean } from './graph/ops/reduce.js';
export { type NamedTensors, type Tensor, tensor } from './graph/tensor.js';
export { configurations } from './networks/configurations.js';
export {
  type Block,
  buildNetwork,
  ConfigError,
  decode,
  type Encoded,
  encode,
  isInvertible,
  type Network,
  type Specification,
} from './networks/index.js';
export { openSession, type Session, type SessionOptions } from './runtime/session.js';

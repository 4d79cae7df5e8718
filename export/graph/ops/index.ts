import { broadcasting } from './broadcast.js';
import { convolutions } from './conv.js';
import { elementwise } from './elementwise.js';
import { gathering } from './gather.js';
import { products } from './matmul.js';
import { movement } from './movement.js';
import { normalisation } from './normalisation.js';
import { order } from './order.js';
import { pooling } from './pool.js';
import { reduce } from './reduce.js';

/**
 * Every op's definition, for code that goes through all of them. Each file of this folder imports only files before it:
 * movement, broadcast, elementwise, then the others.
 */
export const ops = {
  ...movement,
  ...broadcasting,
  ...elementwise,
  ...reduce,
  ...gathering,
  ...products,
  ...convolutions,
  ...pooling,
  ...normalisation,
  ...order,
};

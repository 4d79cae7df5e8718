import { type ConvAttrs, windows } from './conv.js';
import type { Family } from './definition.js';
import { type ElementwiseAttrs, elementwise } from './elementwise.js';
import { type MatmulAttrs, products } from './matmul.js';
import { type MovementAttrs, movement } from './movement.js';
import { type NormalisationAttrs, normalisation } from './normalisation.js';
import { type ReduceAttrs, reduce } from './reduce.js';

export type { OpDef } from './definition.js';

/** Every op and the attributes that it takes. */
export interface OpAttrs
  extends ElementwiseAttrs,
    ConvAttrs,
    MatmulAttrs,
    ReduceAttrs,
    MovementAttrs,
    NormalisationAttrs {}
export type OpName = keyof OpAttrs;

/** Every op's definition; the compiler demands one for each name. */
export const ops: Family<OpAttrs> = {
  ...elementwise,
  ...windows,
  ...products,
  ...reduce,
  ...movement,
  ...normalisation,
};

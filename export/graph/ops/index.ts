import type { Family } from '../op.js';
import { type ConvAttrs, windows } from './conv.js';
import { type ElementwiseAttrs, elementwise } from './elementwise.js';
import { type MatmulAttrs, products } from './matmul.js';
import { type MovementAttrs, movement } from './movement.js';
import { type NormalisationAttrs, normalisation } from './normalisation.js';
import { type ReduceAttrs, reduce } from './reduce.js';

export type { OpDef } from '../op.js';

/** Every op and the attributes that it takes. */
export interface OpAttrs
  extends ElementwiseAttrs,
    ConvAttrs,
    MatmulAttrs,
    ReduceAttrs,
    MovementAttrs,
    NormalisationAttrs {}
export type OpName = keyof OpAttrs;

let table: Family<OpAttrs> | undefined;

/**
 * Every op's definition; the compiler demands one for each name. It is put together at the first call, since the families
 * need the graph and the graph needs the definitions: so modules may be loaded in any order.
 */
export function ops(): Family<OpAttrs> {
  table ??= { ...elementwise, ...windows, ...products, ...reduce, ...movement, ...normalisation };
  return table;
}

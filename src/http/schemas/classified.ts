import { type Static, Type } from 'typebox';
import { Done } from './common.js';

export const Score = Type.Object({ index: Type.Integer(), label: Type.String(), probability: Type.Number() });
export type Score = Static<typeof Score>;

/** The result of a classification. */
export const Classified = Type.Object(
  {
    model: Type.String(),
    predictions: Type.Array(Type.Object({ top: Type.Array(Score), image: Done })),
  },
  { description: 'one prediction an image, in order' },
);
export type Classified = Static<typeof Classified>;

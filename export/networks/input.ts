import { type Static, Type } from 'typebox';
import { ConfigError } from './network.js';

const count = Type.Integer({ minimum: 1 });

/** The part of every configuration that says what the network takes. */
export const InputConfig = Type.Object(
  {
    height: count,
    width: count,
    channels: Type.Union([Type.Literal(1), Type.Literal(3)]),
    padding: Type.Integer({ minimum: 0, description: 'rows and columns of black around the image' }),
    mean: Type.Array(Type.Number(), { minItems: 1, maxItems: 3, description: 'per channel, of pixels in [0, 1]' }),
    std: Type.Array(Type.Number({ exclusiveMinimum: 0 }), { minItems: 1, maxItems: 3 }),
  },
  { additionalProperties: false },
);
export type InputConfig = Static<typeof InputConfig>;

/** @throws ConfigError when mean or std has not one number a channel */
export function checkInput(input: InputConfig): void {
  for (const part of ['mean', 'std'] as const) {
    if (input[part].length !== input.channels)
      throw new ConfigError(`input.${part}: one number a channel (${input.channels}), got ${input[part].length}`);
  }
}

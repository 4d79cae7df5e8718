import { type Static, Type } from 'typebox';

/** How an uploaded picture becomes an input of a network. */
export const Preprocessing = Type.Object({
  fit: Type.Union([Type.Literal('contain'), Type.Literal('cover')], {
    description: 'contain: letterbox the whole image; cover: resize the short side, crop the centre',
  }),
  shortSide: Type.Optional(
    Type.Integer({
      minimum: 1,
      description:
        "cover: what the short side is scaled to, in pixels, before the centre is cropped to the input; default: the input's own size, so that as much as possible is seen",
    }),
  ),
  polarity: Type.Union([Type.Literal('light-on-dark'), Type.Literal('any')], {
    description: 'light-on-dark: a subject on a light ground is inverted first',
  }),
});
export type Preprocessing = Static<typeof Preprocessing>;

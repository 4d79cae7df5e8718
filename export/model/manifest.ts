import { type Static, Type } from 'typebox';

/** The version of the model-folder layout that this code writes and reads. */
export const MANIFEST_FORMAT = 1;

/** What a model may be called: it is a folder's name and part of a URL. */
export const MODEL_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

const File = Type.Object({ bytes: Type.Integer({ minimum: 0 }), sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }) });

/** How far Φ⁻¹(Φ(x)) is from x over a set of images; counts are whole images. */
export const Inversion = Type.Object({
  exactFloat: Type.Integer({ description: 'images recovered in every float32 bit of the network input' }),
  exactPixels: Type.Integer({ description: 'images recovered in every 8-bit pixel' }),
  relativeErrorMean: Type.Number({ description: 'mean of ‖x − Φ⁻¹(Φ(x))‖₂ / ‖x‖₂' }),
  relativeErrorMax: Type.Number(),
});

/**
 * manifest.json: everything needed to serve, check and rebuild a model.
 *
 * forward.onnx   pixels uint8 [N, H, W, C] → features float32 [N, C', H', W'], logits float32 [N, K], image
 * inverse.onnx   features → pixels uint8 [N, H, W, C], image; absent where the network is not invertible
 * `image` is the network's own input, float32 [N, C, H, W]: (pixels / 255 − mean) / std, rounded to the grid.
 */
export const Manifest = Type.Object({
  format: Type.Literal(MANIFEST_FORMAT),
  name: Type.String({ pattern: MODEL_NAME.source }),
  description: Type.String(),
  exporter: Type.Object({ name: Type.Literal('irevnet'), version: Type.String() }),
  architecture: Type.Object({
    name: Type.String({ description: 'a key of export/architectures' }),
    config: Type.Record(Type.String(), Type.Unknown()),
    parameters: Type.Integer({ description: 'trained numbers; running statistics are not counted' }),
  }),
  grid: Type.Union([Type.Integer({ minimum: 1, maximum: 20 }), Type.Null()], {
    description: 'k: streams lie on multiples of 2^-k and the inverse is exact; null: plain floats',
  }),
  input: Type.Object({
    height: Type.Integer({ minimum: 1 }),
    width: Type.Integer({ minimum: 1 }),
    channels: Type.Union([Type.Literal(1), Type.Literal(3)]),
    mean: Type.Array(Type.Number(), { minItems: 1, maxItems: 3, description: 'per channel, of pixels in [0, 1]' }),
    std: Type.Array(Type.Number({ exclusiveMinimum: 0 }), { minItems: 1, maxItems: 3 }),
  }),
  preprocessing: Type.Object({
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
  }),
  labels: Type.Array(Type.String(), { minItems: 1 }),
  features: Type.Object({ shape: Type.Array(Type.Integer({ minimum: 1 }), { minItems: 3, maxItems: 3 }) }),
  files: Type.Object(
    { 'forward.onnx': File, 'inverse.onnx': Type.Optional(File), 'weights.bin': File },
    { description: 'a network that is not invertible has no inverse.onnx' },
  ),
  training: Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()]),
  measured: Type.Union([
    Type.Object({
      data: Type.String({ description: 'what the images are' }),
      images: Type.Integer(),
      accuracy: Type.Union([Type.Number(), Type.Null()], { description: 'null where the images have no labels' }),
      inversion: Type.Union([Inversion, Type.Null()]),
    }),
    Type.Null(),
  ]),
});
export type Manifest = Static<typeof Manifest>;
export type Measured = Manifest['measured'];
export type Inversion = Static<typeof Inversion>;

/** Whether a model has a Φ⁻¹. */
export const isInvertible = ({ files }: Pick<Manifest, 'files'>): boolean => files['inverse.onnx'] !== undefined;

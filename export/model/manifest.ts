import { type Static, Type } from 'typebox';
import { Preprocessing } from '../networks/preprocessing.js';

/** The version of the layout of model folders that this code writes and reads. */
export const MANIFEST_FORMAT = 1;

export const MANIFEST_FILE = 'manifest.json';

/** Names that a model may have: a name is that of a folder and part of URLs. Folders that are being written end otherwise. */
export const MODEL_NAME = /^(?!.*\.(?:tmp|old)$)[a-z0-9][a-z0-9._-]{0,63}$/;

const File = Type.Object({ bytes: Type.Integer({ minimum: 0 }), sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }) });

/** How far Φ⁻¹(Φ(x)) is from x over a set of images. Counts are of images. */
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
 * weights.bin    the weights of all graphs
 * `image` is the network's own input, float32 [N, C, H, W]: (pixels / 255 − mean) / std, rounded to the grid.
 *
 * A folder may hold variants of the two graphs, such as one of 8-bit weights. A variant of forward.onnx is called
 * forward-<variant>.onnx and has the same inputs and outputs.
 */
export const Manifest = Type.Object({
  format: Type.Literal(MANIFEST_FORMAT),
  name: Type.String({ pattern: MODEL_NAME.source }),
  description: Type.String(),
  exporter: Type.Object({ name: Type.Literal('irevnet'), version: Type.String() }),
  architecture: Type.Object({
    name: Type.String({ description: 'a key of the table of architectures' }),
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
  preprocessing: Preprocessing,
  labels: Type.Array(Type.String(), { minItems: 1 }),
  features: Type.Object({ shape: Type.Array(Type.Integer({ minimum: 1 }), { minItems: 3, maxItems: 3 }) }),
  files: Type.Object(
    { 'forward.onnx': File, 'inverse.onnx': Type.Optional(File), 'weights.bin': File },
    {
      additionalProperties: File,
      description:
        'a network that is not invertible has no inverse.onnx; other .onnx files are variants of the two graphs',
    },
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

/** Whether a model has Φ⁻¹. */
export const isInvertible = ({ files }: Pick<Manifest, 'files'>): boolean => files['inverse.onnx'] !== undefined;

/** The graphs of a model that stand beside `forward` and `inverse`, by the names of their files without ".onnx". */
export const variantsOf = ({ files }: Pick<Manifest, 'files'>): string[] =>
  Object.keys(files).flatMap((file) => /^((?:forward|inverse)-.+)\.onnx$/.exec(file)?.[1] ?? []);

import { type Static, Type } from 'typebox';
import { pixelsOf } from '../../export/data/images.js';
import { seeded } from '../../export/data/random.js';
import { rows } from '../../export/graph/rows.js';
import { sizeOf, type Tensor } from '../../export/graph/tensor.js';
import { relativeError } from '../../export/model/measure.js';
import { levelsTile } from '../images/sheet.js';
import { chosenImages } from './chosen.js';
import type { Context } from './context.js';
import { experiment } from './experiment.js';
import { colours, type Figure } from './figure.js';
import { predictions } from './logits.js';
import { furthest, lookAt, permutePlaces } from './metamers.js';
import { reachLogits } from './newton.js';
import { levelsOf, type Passes, withPasses } from './passes.js';
import { Picture, pictured, sheetUrl } from './pictures.js';
import { seed } from './statistics.js';

const options = Type.Object({
  steps: Type.Integer({ minimum: 1, default: 20, description: 'most Newton steps' }),
  tolerance: Type.Number({
    exclusiveMinimum: 0,
    default: 1e-3,
    description: 'difference of a logit that is good enough',
  }),
  seed,
});
type Options = Static<typeof options>;

const Scores = {
  label: Type.String({ description: 'the class of the largest logit' }),
  logits: Type.Array(Type.Number(), { description: 'one a class, in the order of the labels' }),
};
const difference = Type.Number({ description: 'largest difference of a logit from that of A' });
const Seen = Type.Object({ name: Type.String(), picture: Picture, ...Scores });
const Metamer = Type.Object({
  picture: Picture,
  ...Scores,
  difference,
  moved: Type.Number({ description: '‖z − z₀‖₂ / ‖z₀‖₂ of its features z and those that were changed, z₀' }),
  rounded: Type.Object(
    { ...Scores, difference },
    { description: 'what is left when the picture is clipped, rounded to 8 bits and encoded again' },
  ),
});

const result = Type.Object({
  labels: Type.Array(Type.String()),
  a: Type.Object(Seen.properties, { description: 'A, whose logits the others shall have' }),
  b: Type.Object(Seen.properties, { description: 'B' }),
  moved: Type.Object(Metamer.properties, {
    description: "B, its features moved by steps of least norm through the head until its logits are A's",
  }),
  permuted: Type.Union(
    [
      Type.Object(Metamer.properties, {
        description: 'A, the places of its final features permuted, all channels alike',
      }),
      Type.Null(),
    ],
    { description: 'null where the final features have one place' },
  ),
});
type Result = Static<typeof result>;
type Floats = Tensor<'float32'>;

async function run(context: Context, options: Options): Promise<Result> {
  const { images, names } = chosenImages(context, 2, 2);
  const { network, manifest } = context.model;
  const { labels } = manifest;
  return withPasses(context, network, async (passes) => {
    const canvas = await passes.prepare(pixelsOf(images));
    const { features, logits } = await passes.encode(canvas);
    const [a, b] = [rows(features, 0, 1), rows(features, 1, 2)];
    const target = rows(logits, 0, 1);
    const seen = async (n: number): Promise<Result['a']> => ({
      name: names[n]!,
      picture: await pictureOf(levelsOf(network, canvas), n),
      ...scoresOf(rows(logits, n, n + 1), labels),
    });
    const moved = await reachLogits(context, { of: network.classify, classes: network.classes }, b, target, options);
    const severalPlaces = sizeOf(network.features.slice(1)) > 1;
    const described = (from: Floats, z: Floats) => describe(passes, labels, target, from, z);
    return {
      labels: [...labels],
      a: await seen(0),
      b: await seen(1),
      moved: await described(b, moved),
      permuted: severalPlaces ? await described(a, permutePlaces(a, seeded(options.seed), true)) : null,
    };
  });
}

async function describe(
  passes: Passes,
  labels: readonly string[],
  target: Floats,
  from: Floats,
  z: Floats,
): Promise<Result['moved']> {
  const { logits, picture, rounded } = await lookAt(passes, z);
  const scores = (of: Floats) => ({ ...scoresOf(of, labels), difference: furthest(of, target) });
  return {
    picture: await pictureOf(picture, 0),
    ...scores(logits),
    moved: relativeError(from.data, z.data),
    rounded: scores(rounded),
  };
}

const pictureOf = (levels: Floats, n: number): Promise<string> => sheetUrl([[levelsTile(levels, n)]]);

const scoresOf = (logits: Floats, labels: readonly string[]) => ({
  label: labels[predictions(logits)[0]!]!,
  logits: [...logits.data],
});

/** Open shapes that show through one another, since the scores of three of the four are alike. */
const shapes = ['circle', 'square', 'triangle-up', 'cross'];
const legend = { orient: 'top' };

function figure({ labels, a, b, moved, permuted }: Result): Figure {
  const shown = [
    ['A', a],
    ['B', b],
    ['B, moved', moved],
    ...(permuted ? [['A, permuted', permuted] as const] : []),
  ] as const;
  const values = shown.flatMap(([of, { logits }]) => logits.map((logit, i) => ({ of, label: labels[i], logit })));
  const bars = {
    title: { text: 'Logits', subtitle: 'all but those of B are alike' },
    data: { values },
    height: { step: 24 },
    width: 420,
    mark: { type: 'point', filled: false, size: 70 },
    encoding: {
      y: { field: 'label', type: 'nominal', sort: null, title: null },
      x: { field: 'logit', type: 'quantitative', title: 'logit', scale: { padding: 10 } },
      color: { field: 'of', type: 'nominal', sort: null, title: null, legend, scale: { range: [...colours] } },
      shape: { field: 'of', type: 'nominal', sort: null, title: null, legend, scale: { range: [...shapes] } },
    },
  };
  const pictures = shown.map(([name, { picture, label }]) => pictured(picture, name, label, 140));
  const resolve = { legend: { color: 'independent', shape: 'independent' } };
  return { vconcat: [{ concat: pictures, columns: 4 }, bars], resolve } as unknown as Figure;
}

/** Two pictures with the logits of a third. */
export const metamer = experiment({
  name: 'metamer',
  title: 'Metamers of two pictures',
  description:
    "The first two of the pictures, or of the test images, A and B: B with its features moved until its logits are A's, and A with the places of its features permuted, which the classifier cannot tell from A; and what is left of it in pictures of 8 bits.",
  needs: { inverse: true },
  options,
  result,
  run,
  figure,
});

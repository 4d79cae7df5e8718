import { useState } from 'preact/hooks';
import type { FloatArray, Model } from '../../client/index.js';
import { mix, type Pixels, percent, pixelsOf, stacked, strip, tower, withArticle } from '../arrays.js';
import { Choices } from '../parts/choices.js';
import { Canvas } from '../parts/pixels.js';
import { Trouble } from '../parts/trouble.js';
import { pngOf, saveCanvas } from '../save.js';
import { useChosen } from '../state/picture.js';
import { service } from '../state/service.js';
import { type Task, useTask } from '../state/task.js';
import type { ViewProps } from '../view.js';

/** Pictures along a side of the grid. */
const SIDE = 5;

interface Seen {
  readonly picture: Pixels;
  /** What the classifier takes it for. */
  readonly label: string;
  readonly probability: number;
}

interface Cell {
  readonly features: Seen;
  readonly pixels: Seen;
  readonly outside: number;
}

/** Φ⁻¹ of bilinear blends of the features of four pictures, and beside them the blends of their pixels. */
export function Grid({ model, settings }: ViewProps) {
  const corners = [
    useChosen(model, settings, 'a', 0),
    useChosen(model, settings, 'b', 1),
    useChosen(model, settings, 'c', 3),
    useChosen(model, settings, 'd', 2),
  ] as const;
  const { cells, task } = useCells(
    model,
    corners.map(({ task }) => task.value),
  );
  const [a, b, c, d] = corners;
  const chosen = [
    ['top left', a],
    ['top right', b],
    ['bottom left', c],
    ['bottom right', d],
  ] as const;
  const error = task.error ?? corners.map(({ task }) => task.error).find(Boolean);
  const all = cells.length === SIDE ** 2;
  return (
    <>
      <h1>
        Between {withArticle(a.name)}, {withArticle(b.name)}, {withArticle(c.name)} and {withArticle(d.name)}
      </h1>
      <p class="lead">
        The corners are the four pictures. Between them: Φ⁻¹ of blends of their features, and what the classifier takes
        each for.
      </p>
      <Choices model={model} of={chosen} />
      <Trouble error={error} again={task.again} />
      <div class="grids" aria-busy={task.busy}>
        <section>
          <h2>in feature space</h2>
          <Cells of={cells} space="features" />
        </section>
        <section>
          <h2>in pixel space</h2>
          <Cells of={cells} space="pixels" />
        </section>
      </div>
      <ul class="legend facts">
        <li>
          pixel values out of range, at most{' '}
          <b>{all ? percent(Math.max(...cells.map(({ outside }) => outside))) : '–'}</b>
        </li>
      </ul>
      <div class="actions">
        <button type="button" disabled={!all} onClick={() => saveCanvas(sheetOf(cells), 'grid.png')}>
          Save as PNG
        </button>
      </div>
    </>
  );
}

interface CellsProps {
  readonly of: readonly Cell[];
  readonly space: 'features' | 'pixels';
}

/** SIDE × SIDE pictures; those that are not there yet are empty frames. */
const Cells = ({ of, space }: CellsProps) => (
  <ol class="cells">
    {Array.from({ length: SIDE ** 2 }, (_, i) => {
      const cell = of[i]?.[space];
      const where = `row ${Math.floor(i / SIDE) + 1}, column ${(i % SIDE) + 1}`;
      return (
        <li key={`${i}`}>
          <Canvas of={cell?.picture} label={where} />
          <span title={cell && percent(cell.probability)}>{cell?.label ?? '…'}</span>
        </li>
      );
    })}
  </ol>
);

const sheetOf = (cells: readonly Cell[]): Pixels =>
  tower(
    Array.from({ length: SIDE }, (_, row) =>
      strip(cells.slice(row * SIDE, (row + 1) * SIDE).map(({ features }) => features.picture)),
    ),
  );

/** The cells row by row, as they are decoded: of a large network, each row takes a while. */
function useCells(
  model: Model,
  files: readonly (File | undefined)[],
): { readonly cells: readonly Cell[]; readonly task: Task<void> } {
  const [cells, setCells] = useState<readonly Cell[]>([]);
  const task = useTask(
    async (signal) => {
      setCells([]);
      if (!files.every((file) => file !== undefined)) return;
      const options = { model: model.name, signal };
      const features = await Promise.all(files.map((file) => service().encode(file, options)));
      const ends = pictures(await service().decode(stacked(features), { ...options, format: 'npy' }), model);
      for (let row = 0; row < SIDE; row++) {
        const next = await cellsOf(model, features, ends, row, signal);
        if (signal.aborted) return;
        setCells((before) => [...before, ...next]);
      }
    },
    [model, ...files],
  );
  return { cells, task };
}

/** Shares of the corners, row by row, in a cell of the grid. */
function shares(row: number, column: number): readonly number[] {
  const [v, u] = [row / (SIDE - 1), column / (SIDE - 1)];
  return [(1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u];
}

async function cellsOf(
  model: Model,
  corners: readonly FloatArray[],
  ends: readonly Pixels[],
  row: number,
  signal: AbortSignal,
): Promise<Cell[]> {
  const options = { model: model.name, signal };
  const weights = Array.from({ length: SIDE }, (_, column) => shares(row, column));
  const points = weights.map((w) => ({
    shape: corners[0]!.shape,
    data: mix(
      corners.map(({ data }) => data),
      w,
    ),
  }));
  const decoded = pictures(await service().decode(stacked(points), { ...options, format: 'npy' }), model);
  const blends = weights.map((w) => ({
    ...ends[0]!,
    data: Uint8ClampedArray.from(
      mix(
        ends.map(({ data }) => data),
        w,
      ),
    ),
  }));
  const files = await Promise.all([...decoded, ...blends].map(pngOf));
  const { predictions } = await service().classify(files, { ...options, topK: 1, invert: 'no' });
  const seen = (picture: Pixels, n: number): Seen => ({ picture, ...predictions[n]!.top[0]! });
  return decoded.map((picture, i) => ({
    features: seen(picture, i),
    pixels: seen(blends[i]!, SIDE + i),
    outside: picture.outside,
  }));
}

const pictures = (images: FloatArray, model: Model) =>
  Array.from({ length: images.shape[0]! }, (_, n) => pixelsOf(images, model, n));

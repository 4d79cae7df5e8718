import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { type Classification, type FloatArray, type Model, writeNpy } from '../../client/index.js';
import { between, type Pixels, percent, pixelsOf, stacked, strip, withArticle } from '../arrays.js';
import { Bars } from '../parts/bars.js';
import { Choices } from '../parts/choices.js';
import { Canvas, Figure } from '../parts/pixels.js';
import { Trouble } from '../parts/trouble.js';
import { pngOf, saveCanvas, saveFile } from '../save.js';
import { useChosen } from '../state/picture.js';
import { change } from '../state/route.js';
import { service } from '../state/service.js';
import { latest, useTask } from '../state/task.js';
import type { ViewProps } from '../view.js';

const FRAMES = 10;

interface Ends {
  readonly a: FloatArray;
  readonly b: FloatArray;
  /** Decoded images of FRAMES points from a to b, [FRAMES, C, H, W]. */
  readonly frames: FloatArray;
}

/** Images on the line between two pictures, in feature space and beside it in pixel space. */
export function Line({ model, settings }: ViewProps) {
  const a = useChosen(model, settings, 'a', 0);
  const b = useChosen(model, settings, 'b', 1);
  const [t, setT] = useState(Number(settings.t ?? 0.5));
  const [pictureA, pictureB] = [a.task.value, b.task.value];
  const task = useTask(
    async (signal) => (pictureA && pictureB ? ends(model, pictureA, pictureB, signal) : undefined),
    [pictureA, pictureB, model],
  );
  const point = usePoint(model, task.value, t);
  const playing = usePlay(setT);
  const move = (value: number) => {
    setT(value);
    change({ t: value.toFixed(2) });
  };
  const strips = useMemo(() => task.value && stripsOf(model, task.value), [task.value, model]);
  return (
    <>
      <h1>
        Between {withArticle(a.name)} and {withArticle(b.name)}
      </h1>
      <p class="lead">
        Every point between the features of two pictures is the features of a picture. Move along the line.
      </p>
      <Choices
        model={model}
        of={[
          ['from', a],
          ['to', b],
        ]}
      />
      <Trouble error={task.error ?? a.task.error ?? b.task.error} again={task.again} />
      <section class="morph" aria-busy={task.busy}>
        <div class="pair">
          <Figure
            of={point?.features}
            name="in feature space"
            figure="Φ⁻¹((1−t) Φ(a) + t Φ(b))"
            label="the decoded point"
          />
          <Figure of={point?.pixels} name="in pixel space" figure="(1−t) a + t b" label="the blended pixels" />
          <section>
            <h2>What it takes the decoded point for</h2>
            {point?.top && <Bars top={point.top} />}
          </section>
        </div>
        <div class="slide">
          <button type="button" onClick={playing.toggle} aria-pressed={playing.on}>
            {playing.on ? 'Pause' : 'Play'}
          </button>
          <input
            type="range"
            min="0"
            max="1"
            step="0.01"
            value={t}
            aria-label="t, from the first picture to the second"
            onInput={(event) => move(Number(event.currentTarget.value))}
          />
        </div>
        <ul class="legend facts" aria-live="off">
          <li>
            t = <b>{t.toFixed(2)}</b>
          </li>
          <li>
            pixel values out of range <b>{point ? percent(point.outside) : '–'}</b>
          </li>
        </ul>
        {strips && (
          <div class="strips">
            <span>feature space</span>
            <Canvas of={strips.features} label="ten steps in feature space" />
            <span>pixel space</span>
            <Canvas of={strips.pixels} label="ten steps in pixel space" />
          </div>
        )}
        <div class="actions">
          <button type="button" disabled={!strips} onClick={() => saveCanvas(strips!.features, 'interpolation.png')}>
            Save as PNG
          </button>
          <button
            type="button"
            disabled={!pictureA || !pictureB}
            onClick={async () =>
              saveFile(
                await service().interpolate(pictureA!, pictureB!, { model: model.name, steps: 24, format: 'gif' }),
                'interpolation.gif',
              )
            }
          >
            Save as GIF
          </button>
          <button
            type="button"
            disabled={!task.value}
            onClick={() =>
              saveFile(new Blob([writeNpy(between(task.value!.a, task.value!.b, t))]), `features-${t.toFixed(2)}.npy`)
            }
          >
            Save features as .npy
          </button>
        </div>
      </section>
    </>
  );
}

async function ends(model: Model, a: File, b: File, signal: AbortSignal): Promise<Ends> {
  const options = { model: model.name, signal };
  const [from, to] = await Promise.all([service().encode(a, options), service().encode(b, options)]);
  const points = Array.from({ length: FRAMES }, (_, i) => between(from, to, i / (FRAMES - 1)));
  return { a: from, b: to, frames: await service().decode(stacked(points), { ...options, format: 'npy' }) };
}

/** The frames in feature space, and those between the pixels of the first and the last. */
function stripsOf(model: Model, { frames }: Ends): Readonly<Record<'features' | 'pixels', Pixels>> {
  const decoded = Array.from({ length: FRAMES }, (_, n) => pixelsOf(frames, model, n));
  const blends = decoded.map((_, i) => blend(decoded[0]!, decoded.at(-1)!, i / (FRAMES - 1)));
  return { features: strip(decoded), pixels: strip(blends) };
}

const blend = (a: Pixels, b: Pixels, t: number): Pixels => ({
  ...a,
  data: Uint8ClampedArray.from(a.data, (x, i) => (1 - t) * x + t * b.data[i]!),
});

interface Point {
  readonly features: Pixels;
  readonly pixels: Pixels;
  readonly outside: number;
  readonly top?: Classification['predictions'][number]['top'];
}

/** The decoded point at t; requests that the slider has overtaken are never sent. */
function usePoint(model: Model, found: Ends | undefined, t: number): Point | undefined {
  const [point, setPoint] = useState<Point>();
  const run = useRef(latest());
  useEffect(() => {
    if (!found) return;
    run.current(async () => {
      const options = { model: model.name };
      const image = await service().decode(between(found.a, found.b, t), { ...options, format: 'npy' });
      const features = pixelsOf(image, model);
      const pixels = blend(pixelsOf(found.frames, model), pixelsOf(found.frames, model, FRAMES - 1), t);
      setPoint((before) => ({ ...before, features, pixels, outside: features.outside }));
    });
  }, [model, found, t]);
  useNames(model, point?.features, (top) => setPoint((now) => now && { ...now, top }));
  return point;
}

/** What the classifier makes of a picture once it has stood still for a moment. */
function useNames(model: Model, picture: Pixels | undefined, tell: (top: Point['top'] & object) => void): void {
  useEffect(() => {
    if (!picture) return;
    const timer = setTimeout(async () => {
      const file = await pngOf(picture);
      const options = { model: model.name, topK: 5, invert: 'no' } as const;
      const { predictions } = await service().classify(file, options);
      tell(predictions[0]!.top);
    }, 150);
    return () => clearTimeout(timer);
  }, [picture]);
}

/** Runs t from 0 to 1 and back until it is stopped. */
function usePlay(setT: (change: (t: number) => number) => void) {
  const [on, setOn] = useState(false);
  useEffect(() => {
    if (!on) return;
    let forward = true;
    const timer = setInterval(() => {
      setT((t) => {
        if (t >= 1) forward = false;
        if (t <= 0) forward = true;
        return Math.min(1, Math.max(0, t + (forward ? 0.02 : -0.02)));
      });
    }, 66);
    return () => clearInterval(timer);
  }, [on]);
  return { on, toggle: () => setOn((now) => !now) };
}

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { FloatArray, Model } from '../../client/index.js';
import { type Pixels, percent, pixelsOf, sheet, sheetColumns, withArticle } from '../arrays.js';
import { channelAt, type Edit, edited, editOf, editSettings, unchanged } from '../edit.js';
import { Bars } from '../parts/bars.js';
import { Choices } from '../parts/choices.js';
import { Figure } from '../parts/pixels.js';
import { Trouble } from '../parts/trouble.js';
import { pngOf } from '../save.js';
import { useChosen } from '../state/picture.js';
import { change } from '../state/route.js';
import { service } from '../state/service.js';
import { latest, useTask } from '../state/task.js';
import type { ViewProps } from '../view.js';
import { Metamers } from './metamers.js';

/** Features are changed by hand; Φ⁻¹ shows what picture they are then, and the classifier says what it takes that for. */
export function Explore({ model, settings }: ViewProps) {
  const chosen = useChosen(model, settings, 'sample');
  const other = useChosen(model, settings, 'other', 1);
  const named = JSON.stringify(editSettings(editOf(settings)));
  const edit = useMemo(() => editOf(settings), [named]);
  const setEdit = (next: Edit) => change(editSettings(next));
  const [picture, otherPicture] = [chosen.task.value, other.task.value];
  const options = { model: model.name };
  const task = useTask(
    async (signal) => picture && service().encode(picture, { ...options, signal }),
    [picture, model],
  );
  const second = useTask(
    async (signal) => otherPicture && service().encode(otherPicture, { ...options, signal }),
    [otherPicture, model],
  );
  const features = useMemo(
    () => task.value && edited(task.value, edit, second.value),
    [task.value, second.value, edit],
  );
  const result = useDecoded(model, features);
  const [c, h, w] = model.features.shape as [number, number, number];
  const toggle = (x: number, y: number) => {
    const channel = channelAt(x, y, c, sheetColumns(c, h, w));
    if (channel === undefined) return;
    const silent = edit.silent.includes(channel) ? edit.silent.filter((n) => n !== channel) : [...edit.silent, channel];
    setEdit({ ...edit, silent });
  };
  return (
    <>
      <h1>What the features of {withArticle(chosen.name)} hold</h1>
      <p class="lead">
        Change the features; Φ⁻¹ shows which picture has them. Click channels in the sheet to silence them.
      </p>
      <Choices
        model={model}
        of={[
          ['the picture', chosen],
          ['another one', other],
        ]}
      />
      <Trouble
        error={task.error ?? chosen.task.error ?? second.error ?? other.task.error ?? result?.error}
        again={task.again}
      />
      <div class="explore">
        <Figure
          of={features && sheet(features)}
          name="features"
          figure={`${c} × ${h} × ${w}`}
          label="a sheet of channels; click one to silence it"
          onPick={toggle}
        />
        <div class="op" aria-hidden="true">
          Φ⁻¹
        </div>
        <Figure
          of={result?.picture}
          name="Φ⁻¹"
          figure={result?.picture ? `${percent(result.picture.outside)} out of range` : ''}
          label="the picture that has the changed features"
        />
        <section class="controls" aria-label="changes">
          <Slider name="scale" value={edit.scale} max={2} onChange={(scale) => setEdit({ ...edit, scale })} />
          <Slider name="noise, σ" value={edit.noise} max={2} onChange={(noise) => setEdit({ ...edit, noise })} />
          <Slider
            name={`channels of another picture (${other.name})`}
            value={edit.taken}
            max={1}
            onChange={(taken) => setEdit({ ...edit, taken })}
          />
          <Slider
            name="channels silenced, from the last"
            value={edit.cut}
            max={1}
            onChange={(cut) => setEdit({ ...edit, cut })}
          />
          <div class="actions">
            <button
              type="button"
              aria-pressed={edit.permuted}
              onClick={() => setEdit({ ...edit, permuted: !edit.permuted })}
            >
              Permute the places
            </button>
            <button type="button" onClick={() => setEdit(unchanged)}>
              Undo all
            </button>
          </div>
          {edit.permuted && (
            <p class="note">
              The classifier averages over places, so the scores of these features stay the same. Rounding the picture
              to 8-bit pixels can change them.
            </p>
          )}
          {edit.silent.length > 0 && <p class="note">Silent channels: {edit.silent.join(', ')}.</p>}
        </section>
      </div>
      {result?.top && (
        <section>
          <h2>What it takes this picture for, once its pixels are rounded to 8 bits</h2>
          <Bars top={result.top} />
        </section>
      )}
      <Metamers model={model} a={chosen} b={other} wanted={settings.metamers === 'yes'} />
    </>
  );
}

interface SliderProps {
  readonly name: string;
  readonly value: number;
  readonly max: number;
  onChange(value: number): void;
}

const Slider = ({ name, value, max, onChange }: SliderProps) => (
  <label class="slider">
    <span>
      {name} <b>{value.toFixed(2)}</b>
    </span>
    <input
      type="range"
      min="0"
      max={max}
      step="0.01"
      value={value}
      onInput={(event) => onChange(Number(event.currentTarget.value))}
    />
  </label>
);

interface Decoded {
  readonly picture?: Pixels & { readonly outside: number };
  readonly top?: Parameters<typeof Bars>[0]['top'];
  readonly error?: unknown;
}

/** The picture that has these features, and what the classifier says of it. */
function useDecoded(model: Model, features: FloatArray | undefined): Decoded | undefined {
  const [decoded, setDecoded] = useState<Decoded>();
  const run = useRef(latest());
  useEffect(() => {
    if (!features) return;
    run.current(async () => {
      try {
        const image = await service().decode(features, { model: model.name, format: 'npy' });
        const picture = pixelsOf(image, model);
        setDecoded((before) => ({ ...(before?.top && { top: before.top }), picture }));
        const { predictions } = await service().classify(await pngOf(picture), { model: model.name, invert: 'no' });
        setDecoded({ picture, top: predictions[0]!.top });
      } catch (error) {
        setDecoded({ error });
      }
    });
  }, [features, model]);
  return decoded;
}

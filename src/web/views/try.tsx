import { ServiceError } from '../../client/index.js';
import { count, sheet, words } from '../arrays.js';
import { Bars } from '../parts/bars.js';
import { Chooser } from '../parts/chooser.js';
import { Figure } from '../parts/pixels.js';
import { Snippets } from '../parts/tabs.js';
import { TimeBar } from '../parts/timing.js';
import { Trouble } from '../parts/trouble.js';
import { useChosen } from '../state/picture.js';
import { type Seen, see } from '../state/see.js';
import { useTask } from '../state/task.js';
import type { ViewProps } from '../view.js';

/** One picture: what the network takes it for, its features, and the picture that Φ⁻¹ makes of them. */
export function Try({ model, settings }: ViewProps) {
  const chosen = useChosen(model, settings, 'sample');
  const picture = chosen.task.value;
  const task = useTask(async (signal) => picture && see(model, picture, signal), [picture, model]);
  const seen = task.value;
  const [c, h, w] = model.features.shape;
  return (
    <>
      <h1>
        The network saw this {chosen.name}
        {seen?.back instanceof ServiceError ? '.' : ', and can give it back.'}
      </h1>
      <p class="lead">
        Φ turns the picture into {count(c! * h! * w!)} features; Φ⁻¹ turns the features into the picture. Nothing else
        is kept.
      </p>
      <Chooser
        channels={model.input.channels}
        chosen={chosen.sample?.name}
        label="picture"
        onSample={chosen.onSample}
        onFile={chosen.onFile}
      />
      <Trouble error={task.error ?? chosen.task.error} again={task.error ? task.again : chosen.task.again} />
      <Flow model={model} seen={seen} name={chosen.name} busy={task.busy} />
      <Verdict of={seen} />
      {seen && (
        <div class="two">
          <section>
            <h2>What it takes it for</h2>
            <Bars top={seen.top} />
            {seen.done.length > 0 && <p class="note">Prepared: {seen.done.join(', ')}.</p>}
          </section>
          <section>
            <h2>Where {seen.times.reduce((sum, [, ms]) => sum + ms, 0).toFixed(1)} ms went</h2>
            <TimeBar parts={seen.times} />
            <Snippets of={snippets(words(chosen.sample?.name ?? 'picture').replaceAll(' ', '-'), model.name)} />
          </section>
        </div>
      )}
    </>
  );
}

interface FlowProps {
  readonly model: ViewProps['model'];
  readonly seen: Seen | undefined;
  readonly name: string;
  readonly busy: boolean;
}

/** The picture, its features, the picture again, and what is missing. */
function Flow({ model, seen, name, busy }: FlowProps) {
  const size = `${model.input.height} × ${model.input.width}`;
  const back = seen && !(seen.back instanceof ServiceError) ? seen.back : undefined;
  const pictures = back?.pictures;
  return (
    <section class={`flow ${busy ? 'busy' : ''}`} aria-busy={busy} aria-label="there and back">
      <Figure of={pictures?.input} name="input x" figure={size} label={`the ${name} as the network sees it`} />
      <Operation of="Φ" />
      <Figure
        of={seen && sheet(seen.features)}
        name="features Φ(x)"
        figure={model.features.shape.join(' × ')}
        label="the features, a sheet of channels; blue is negative, rust is positive"
      />
      <Operation of="Φ⁻¹" />
      <Figure of={pictures?.recovered} name="Φ⁻¹(Φ(x))" figure={size} label={`the ${name}, recovered`} />
      <Operation of="−" />
      <Figure
        of={pictures?.residual}
        name="residual"
        figure={back ? `max ${back.largest === 0 ? 0 : back.largest.toPrecision(2)}` : ''}
        label="the difference between the two pictures; grey is none, white and black are the largest"
      />
    </section>
  );
}

const Operation = ({ of }: { readonly of: string }) => (
  <div class="op" aria-hidden="true">
    {of}
  </div>
);

/** Whether everything came back, in a sentence. */
function Verdict({ of: seen }: { readonly of: Seen | undefined }) {
  if (!seen) return <p class="verdict waiting">…</p>;
  const { back, features } = seen;
  if (back instanceof ServiceError) {
    return (
      <p class="verdict lost">
        <b>This network cannot give it back.</b>
        <span>{back.detail}</span>
      </p>
    );
  }
  const { exactFloat, lostPixels, relativeError } = back;
  const said =
    lostPixels === 0
      ? `Every pixel is back${exactFloat ? ', to the last float32 bit.' : '.'}`
      : `${count(lostPixels)} pixel values are not back.`;
  return (
    <p class={`verdict ${lostPixels === 0 ? '' : 'lost'}`} aria-live="polite">
      <b>{said}</b>
      <span>
        Relative error {relativeError === 0 ? '0' : relativeError.toExponential(1)}, from {count(features.data.length)}{' '}
        features, on this device.
      </span>
    </p>
  );
}

function snippets(name: string, model: string): Readonly<Record<string, string>> {
  const host = location.origin;
  return {
    curl: `curl -F file=@${name}.png '${host}/encode?model=${model}' -o z.npy
curl --data-binary @z.npy -H 'content-type: application/x-npy' \\
  '${host}/decode?model=${model}' -o back.png`,
    JavaScript: `import { connect } from 'irevnet/client';

const service = connect('${host}');
const features = await service.encode(picture, { model: '${model}' });
const png = await service.decode(features);`,
    Python: `import requests

picture = open('${name}.png', 'rb')
z = requests.post('${host}/encode?model=${model}', files={'file': picture})
back = requests.post('${host}/decode?model=${model}', data=z.content,
                     headers={'content-type': 'application/x-npy'})`,
  };
}

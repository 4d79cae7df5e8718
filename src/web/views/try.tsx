import { count, sheet, words } from '../arrays.js';
import type { ViewProps } from '../page.js';
import { Bars } from '../parts/bars.js';
import { Chooser } from '../parts/chooser.js';
import { Figure } from '../parts/pixels.js';
import { Snippets } from '../parts/tabs.js';
import { TimeBar } from '../parts/timing.js';
import { Trouble } from '../parts/trouble.js';
import { useChosen } from '../state/picture.js';
import { type Seen, see } from '../state/see.js';
import { useTask } from '../state/task.js';

/** One picture: what the network takes it for, its features, and the picture that Φ⁻¹ makes of them. */
export function Try({ model, settings }: ViewProps) {
  const chosen = useChosen(model, settings, 'sample');
  const picture = chosen.task.value;
  const task = useTask(async (signal) => (picture ? see(model, picture, signal) : undefined), [picture, model]);
  const seen = task.value;
  const size = `${model.input.height} × ${model.input.width}`;
  const [c, h, w] = model.features.shape;
  return (
    <>
      <h1>The network saw this {chosen.name}, and can give it back.</h1>
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
      <Trouble error={task.error ?? chosen.task.error} again={task.again} />
      <section class={`flow ${task.busy ? 'busy' : ''}`} aria-busy={task.busy} aria-label="there and back">
        <Figure of={seen?.input} name="input x" figure={size} label={`the ${chosen.name} as the network sees it`} />
        <Operation of="Φ" />
        <Figure
          of={seen && sheet(seen.features)}
          name="features Φ(x)"
          figure={`${c} × ${h} × ${w}`}
          label="the features, a sheet of channels; blue is negative, rust is positive"
        />
        <Operation of="Φ⁻¹" />
        <Figure
          of={seen?.back}
          name="Φ⁻¹(Φ(x))"
          figure={size}
          label={`the ${chosen.name}, recovered from the features`}
        />
        <Operation of="−" />
        <Figure
          of={seen?.residual}
          name={seen && seen.largest > 0 ? `residual × ${seen.gain}` : 'residual'}
          figure={seen ? `max ${seen.largest}` : ''}
          label="the difference between the two pictures; grey is none"
        />
      </section>
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

const Operation = ({ of }: { readonly of: string }) => (
  <div class="op" aria-hidden="true">
    {of}
  </div>
);

/** Whether everything came back, in a sentence. */
function Verdict({ of: seen }: { readonly of: Seen | undefined }) {
  if (!seen) return <p class="verdict waiting">…</p>;
  const { pixels, exactPixels, exactFloat, relativeError } = seen;
  const said =
    exactPixels === pixels
      ? `All ${count(pixels)} pixel values back${exactFloat ? ', every float32 bit equal.' : '.'}`
      : `${count(exactPixels)} of ${count(pixels)} pixel values back.`;
  return (
    <p class={`verdict ${exactPixels === pixels ? '' : 'lost'}`} aria-live="polite">
      <b>{said}</b>
      <span>Relative error {relativeError === 0 ? '0' : relativeError.toExponential(1)}, on this device.</span>
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

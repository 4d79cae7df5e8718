import type { Model } from '../../client/index.js';
import { count, percent, short } from '../arrays.js';
import { addressOf } from '../state/route.js';
import type { ViewProps } from '../view.js';

/** What is known about each model. */
export function Models({ models }: ViewProps) {
  return (
    <>
      <h1>{models.length === 1 ? 'One model is served' : `${models.length} models are served`}</h1>
      <p class="lead">An inverse is served only once it has given pictures of noise back on this device.</p>
      {models.map((model) => (
        <Card key={model.name} model={model} />
      ))}
    </>
  );
}

interface Known extends Model {
  readonly measured?: {
    readonly images: number;
    readonly accuracy?: number | null;
    readonly inversion?: { readonly exactFloat: number };
  };
}

function Card({ model }: { readonly model: Known }) {
  const { height, width, channels } = model.input;
  const [c, h, w] = model.features.shape;
  const facts: readonly (readonly [string, string])[] = [
    ['parameters', short(model.architecture.parameters)],
    ['input', `${height} × ${width} × ${channels}`],
    ['features', `${c} × ${h} × ${w}`],
    ['classes', count(model.labels.length)],
    ['grid', model.grid === null ? 'plain floats' : `multiples of 2⁻${superscript(model.grid)}`],
    ...measured(model),
  ];
  return (
    <article class="card model">
      <h2>{model.name}</h2>
      <p>{model.description}</p>
      <dl>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Stages model={model} />
      <p>
        <a href={addressOf({ view: 'try', settings: { model: model.name } })}>Try it</a>
      </p>
    </article>
  );
}

function measured({ measured: known }: Known): (readonly [string, string])[] {
  if (!known) return [];
  const { images, accuracy, inversion } = known;
  return [
    ...(typeof accuracy === 'number' ? [['accuracy', percent(accuracy, 2)] as const] : []),
    ...(inversion ? [['back in every bit', `${count(inversion.exactFloat)} of ${count(images)}`] as const] : []),
  ];
}

const superscript = (n: number): string => [...`${n}`].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]).join('');

/** Blocks by stage: as wide as there are blocks, and as high as the streams have channels. */
function Stages({ model }: { readonly model: Model }) {
  const { blocks, widths } = model.architecture.config as { blocks?: number[]; widths?: number[] };
  if (!blocks || !widths) return null;
  return (
    <ol class="stages" aria-label="stages">
      {blocks.map((n, i) => (
        <li key={`${i}`} style={{ flexGrow: n }}>
          <i aria-hidden="true" style={{ height: `${10 + 7 * Math.log2(widths[i] ?? 1)}px` }} />
          <span>
            {n} blocks, {2 * (widths[i] ?? 0)} channels
          </span>
        </li>
      ))}
    </ol>
  );
}

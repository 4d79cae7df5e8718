import type { Model } from '../../client/index.js';
import { count, percent, short } from '../arrays.js';
import { Table } from '../parts/table.js';
import { addressOf } from '../state/route.js';
import type { ViewProps } from '../view.js';

/** What is known about each model. */
export function Models({ models }: ViewProps) {
  return (
    <>
      <h1>{models.length === 1 ? 'One model is served' : `${models.length} models are served`}</h1>
      <p class="lead">An inverse is served only once it has given pictures of noise back on this device.</p>
      {models.length > 1 && <Results models={models} />}
      {models.map((model) => (
        <Card key={model.name} model={model} alone={models.length === 1} />
      ))}
    </>
  );
}

/** The models beside one another. */
function Results({ models }: { readonly models: readonly Model[] }) {
  return (
    <section class="results">
      <h2>Beside one another</h2>
      <Table
        label="the models beside one another"
        columns={['model', 'accuracy', 'parameters', 'back in every bit', 'relative error of Φ⁻¹', 'measured on']}
        rows={models.map(({ name, architecture, measured: known }) => [
          <a key="name" href={addressOf({ view: 'try', settings: { model: name } })}>
            {name}
          </a>,
          typeof known?.accuracy === 'number' ? percent(known.accuracy, 2) : '–',
          short(architecture.parameters),
          known?.inversion ? percent(known.inversion.exactFloat / known.images) : '–',
          known?.inversion ? error(known.inversion.relativeErrorMax) : '–',
          known ? known.data : '–',
        ])}
      />
      <p class="note">
        A dash: not measured, or the network has no inverse. <code>irevnet evaluate</code> measures.
      </p>
    </section>
  );
}

const error = (value: number): string => (value === 0 ? '0' : `≤ ${value.toExponential(1)}`);

function Card({ model, alone }: { readonly model: Model; readonly alone: boolean }) {
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
      <Training model={model} open={alone} />
      <p>
        <a href={addressOf({ view: 'try', settings: { model: model.name } })}>Try it</a>
      </p>
    </article>
  );
}

function measured({ measured: known }: Model): (readonly [string, string])[] {
  if (!known) return [];
  const { images, accuracy, inversion } = known;
  return [
    ...(typeof accuracy === 'number' ? [['accuracy', percent(accuracy, 2)] as const] : []),
    ...(inversion ? [['back in every bit', `${count(inversion.exactFloat)} of ${count(images)}`] as const] : []),
  ];
}

/** What the model's manifest says of its training. */
function Training({ model: { training }, open }: { readonly model: Model; readonly open: boolean }) {
  if (!training) return <p class="note">Its manifest says nothing of a training.</p>;
  return (
    <details open={open}>
      <summary>How it was trained</summary>
      <dl class="record">
        {leaves(training).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

/** Every entry of a record, those inside others too, in words: "label smoothing", "schedule peak". */
function leaves(record: object, inside = ''): (readonly [string, string])[] {
  return Object.entries(record).flatMap(([key, value]) => {
    const name = `${inside} ${key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)}`.trim();
    if (value === null || value === undefined) return [];
    if (typeof value === 'object' && !Array.isArray(value)) return leaves(value, name);
    if (typeof value === 'boolean') return [[name, value ? 'yes' : 'no'] as const];
    return [[name, typeof value === 'number' && value >= 1e4 ? count(value) : [value].flat().join(', ')] as const];
  });
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

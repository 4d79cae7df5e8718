import type { Metamers as Found, Metamer, Model } from '../../client/index.js';
import { withArticle } from '../arrays.js';
import { Figure } from '../parts/pixels.js';
import { Table } from '../parts/table.js';
import { Trouble } from '../parts/trouble.js';
import type { Chosen } from '../state/picture.js';
import { change } from '../state/route.js';
import { service } from '../state/service.js';
import { useTask } from '../state/task.js';

interface Props {
  readonly model: Model;
  readonly a: Chosen;
  readonly b: Chosen;
  /** Whether the visitor asked for them: they take seconds. */
  readonly wanted: boolean;
}

/** Pictures that the classifier cannot tell from A, although they look different. */
export function Metamers({ model, a, b, wanted }: Props) {
  const [pictureA, pictureB] = [a.task.value, b.task.value];
  const task = useTask(
    async (signal) =>
      wanted && pictureA && pictureB ? service().metamer(pictureA, pictureB, { model: model.name, signal }) : undefined,
    [wanted, pictureA, pictureB, model],
  );
  return (
    <section class="part" aria-busy={wanted && task.busy}>
      <h2>Metamers: different pictures, the same scores</h2>
      <p class="note">
        Much of what Φ keeps, the classifier never looks at. So {withArticle(b.name)} can be given all the scores of{' '}
        {withArticle(a.name)}, and still look like {withArticle(b.name)}.
      </p>
      {!wanted && (
        <button type="button" onClick={() => change({ metamers: 'yes' })}>
          Find them
        </button>
      )}
      {wanted && <Trouble error={task.error} again={task.again} />}
      {wanted && !task.error && <Four found={task.value} nameA={a.name} nameB={b.name} />}
    </section>
  );
}

interface FourProps {
  readonly found: Found | undefined;
  readonly nameA: string;
  readonly nameB: string;
}

const Four = ({ found, nameA, nameB }: FourProps) => (
  <>
    <div class="four">
      <div>
        <Figure of={found?.a.picture} name="A" figure={found?.a.label ?? '…'} label={`A, the ${nameA}`} />
      </div>
      <div>
        <Figure of={found?.b.picture} name="B" figure={found?.b.label ?? '…'} label={`B, the ${nameB}`} />
      </div>
      <div>
        <Figure
          of={found?.moved.picture}
          name="B, with A’s scores"
          figure={found?.moved.label ?? '…'}
          label={`the ${nameB} with the scores of A`}
        />
        {found && <Facts of={found.moved} target={found.a.label} />}
      </div>
      {found?.permuted !== null && (
        <div>
          <Figure
            of={found?.permuted.picture}
            name="A, places permuted"
            figure={found?.permuted.label ?? '…'}
            label={`the ${nameA} with the places of its features permuted`}
          />
          {found && <Facts of={found.permuted} target={found.a.label} />}
        </div>
      )}
    </div>
    {found && <Scores of={found} />}
  </>
);

/** How alike the scores are, of the features and of the picture once it is rounded. */
const Facts = ({ of: { difference, moved, rounded }, target }: { readonly of: Metamer; readonly target: string }) => (
  <p class="note">
    {difference === 0 ? 'All scores are the same' : `No score differs by more than ${difference.toExponential(0)}`}; its
    features moved by {(100 * moved).toFixed(0)}% of their norm. Rounded to 8 bits and looked at again:{' '}
    {rounded.label === target ? `still ${rounded.label}` : rounded.label}, scores off by {rounded.difference.toFixed(1)}
    .
  </p>
);

function Scores({ of: { labels, a, b, moved, permuted } }: { readonly of: Found }) {
  const columns = [
    ['A', a.logits],
    ['B', b.logits],
    ['B, moved', moved.logits],
    ...(permuted ? [['A, permuted', permuted.logits] as const] : []),
  ] as const;
  const best = a.logits.map((_, i) => i).sort((i, j) => a.logits[j]! - a.logits[i]!);
  return (
    <details>
      <summary>The scores (logits)</summary>
      <Table
        label="scores"
        columns={['class', ...columns.map(([name]) => name)]}
        rows={best.slice(0, 20).map((i) => [labels[i], ...columns.map(([, logits]) => logits[i]!.toFixed(4))])}
      />
    </details>
  );
}

import { useEffect, useRef, useState } from 'preact/hooks';
import type { TopLevelSpec } from 'vega-lite';

interface Props {
  readonly specification: TopLevelSpec;
  readonly label: string;
}

/** A figure from its Vega-Lite specification, with values where the pointer is. The library is loaded when it is shown. */
export function Chart({ specification, label }: Props) {
  const paper = useRef<HTMLDivElement>(null);
  const hover = useRef<HTMLDListElement>(null);
  const [values, setValues] = useState<Readonly<Record<string, string>>>();
  const [drawn, setDrawn] = useState(false);
  const [error, setError] = useState<string>();
  useEffect(() => {
    let gone = false;
    let remove = () => {};
    const tell = (next: typeof values, event: MouseEvent | null) => {
      setValues(next);
      if (event) place(hover.current!, event.clientX, event.clientY);
    };
    import('../chart/draw.js')
      .then(({ draw }) => draw(specification, paper.current!, paper.current!.clientWidth, tell))
      .then(
        (removal) => {
          remove = removal;
          if (gone) remove();
          else setDrawn(true);
        },
        (reason: unknown) => setError(reason instanceof Error ? reason.message : `${reason}`),
      );
    return () => {
      gone = true;
      remove();
    };
  }, [specification]);
  return (
    <div class="chart">
      {!drawn && <p class="note">{error ? `The figure cannot be drawn: ${error}` : 'Drawing the figure …'}</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
      <section class="paper" tabIndex={0} aria-label={label}>
        <div ref={paper} />
      </section>
      <dl class="hover card" ref={hover} hidden={values === undefined}>
        {Object.entries(values ?? {}).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

/** Beside the pointer, on the side where there is room. */
function place(box: HTMLElement, x: number, y: number): void {
  const left = x > innerWidth / 2;
  box.style.left = left ? '' : `${x + 14}px`;
  box.style.right = left ? `${innerWidth - x + 14}px` : '';
  box.style.top = `${y + 14}px`;
}

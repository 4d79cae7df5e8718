import { parse, View } from 'vega';
import { expressionInterpreter } from 'vega-interpreter';
import { compile, type TopLevelSpec } from 'vega-lite';

/** The width below which panels do not stand side by side as they do on paper. */
const WIDE = 860;
/** What a panel takes beside its own width: axis and gap. */
const AROUND = 60;

/**
 * Draws a Vega-Lite specification into an element. Expressions are interpreted: the policy of the page lets no text be run
 * as a script. This file is loaded when a figure is shown, and Vega with it.
 * @param tell called with the values of what the pointer is over, undefined: over nothing
 * @returns what removes the figure
 */
export async function draw(
  specification: TopLevelSpec,
  element: HTMLElement,
  width: number,
  tell: (values: Readonly<Record<string, string>> | undefined, event: MouseEvent | null) => void,
): Promise<() => void> {
  const { spec } = compile(adapted(specification, width));
  const view = new View(parse(spec, undefined, { ast: true }), {
    expr: expressionInterpreter,
    renderer: 'canvas',
    container: element,
    tooltip: (_handler: unknown, event: MouseEvent | null, _item: unknown, value: unknown) =>
      tell(worded(value), event),
  });
  await view.runAsync();
  return () => view.finalize();
}

/** The values of a mark, without pictures; undefined where there are none. */
function worded(value: unknown): Readonly<Record<string, string>> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const values = Object.entries(value).filter(([, one]) => !`${one}`.startsWith('data:'));
  return values.length > 0 ? (Object.fromEntries(values) as Record<string, string>) : undefined;
}

/** With values on hover; where there is little room, panels stand below one another. */
function adapted(specification: TopLevelSpec, width: number): TopLevelSpec {
  const { config = {}, ...rest } = specification;
  const hovering = { ...config, mark: { ...config.mark, tooltip: true }, line: { ...config.line, tooltip: null } };
  return { ...(width < WIDE ? stacked(rest, width) : rest), config: hovering } as TopLevelSpec;
}

interface Part {
  readonly width?: unknown;
  readonly columns?: number;
  readonly concat?: readonly Part[];
  readonly hconcat?: readonly Part[];
  readonly vconcat?: readonly Part[];
}

/** Panels below one another, as many side by side as there is room for. */
function stacked({ hconcat, ...part }: Part, width: number): Part {
  const each = (parts: readonly Part[]) => parts.map((one) => stacked(one, width));
  if (hconcat) return { ...part, vconcat: each(hconcat) };
  if (part.vconcat) return { ...part, vconcat: each(part.vconcat) };
  if (!part.concat) return part;
  const fitting = Math.floor(width / ((Number(part.concat[0]?.width) || width) + AROUND));
  return { ...part, concat: each(part.concat), columns: Math.max(1, Math.min(fitting, part.columns ?? fitting)) };
}

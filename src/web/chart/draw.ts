import { parse, View } from 'vega';
import { expressionInterpreter } from 'vega-interpreter';
import { compile, type TopLevelSpec } from 'vega-lite';

/**
 * Draws a Vega-Lite specification into an element. Expressions are interpreted: the policy of the page lets no text be run
 * as a script. This file is loaded when a figure is shown, and Vega with it.
 * @param tell called with the values of what the pointer is over, undefined: over nothing
 * @returns what removes the figure
 */
export async function draw(
  specification: TopLevelSpec,
  element: HTMLElement,
  narrow: boolean,
  tell: (values: Readonly<Record<string, string>> | undefined, event: MouseEvent | null) => void,
): Promise<() => void> {
  const { spec } = compile(adapted(specification, narrow));
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
function adapted(specification: TopLevelSpec, narrow: boolean): TopLevelSpec {
  const { config = {}, ...rest } = specification;
  const hovering = { ...config, mark: { ...config.mark, tooltip: true }, line: { ...config.line, tooltip: null } };
  return { ...(narrow ? stacked(rest) : rest), config: hovering } as TopLevelSpec;
}

function stacked(part: object): object {
  const { hconcat, ...rest } = part as { hconcat?: readonly object[] };
  if (hconcat) return { ...rest, vconcat: hconcat.map(stacked) };
  const { concat, vconcat } = rest as { concat?: readonly object[]; vconcat?: readonly object[] };
  if (concat) return { ...rest, concat: concat.map(stacked), columns: 1 };
  return vconcat ? { ...rest, vconcat: vconcat.map(stacked) } : rest;
}

import { rows, stack } from '../graph/rows.js';
import type { Tensor } from '../graph/tensor.js';
import type { Session } from './session.js';

/** A slice of the rows and what a graph gave for it. */
export interface Slice {
  /** Rows [from, to) of the inputs. */
  readonly from: number;
  readonly to: number;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

type Feeds = Readonly<Record<string, Tensor>>;

/**
 * Runs a graph on `size` rows of its inputs at a time, in order; the last slice may be shorter. One slice is in memory at
 * a time.
 * @param feeds inputs that all have the same number of rows
 * @param fetch the outputs that are wanted; default: all
 */
export async function* slices(
  session: Pick<Session, 'run'>,
  feeds: Feeds,
  size: number,
  fetch?: readonly string[],
): AsyncGenerator<Slice> {
  const count = Object.values(feeds)[0]!.dims[0]!;
  for (let from = 0; from < count; from += size) {
    const to = Math.min(from + size, count);
    const sliced = Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, rows(t, from, to)]));
    yield { from, to, outputs: await session.run(sliced, fetch) };
  }
}

/** The same, with the outputs of all slices joined. There must be a row. */
export async function runInSlices(
  session: Pick<Session, 'run'>,
  feeds: Feeds,
  size: number,
  fetch?: readonly string[],
): Promise<Record<string, Tensor>> {
  const parts: Slice['outputs'][] = [];
  for await (const { outputs } of slices(session, feeds, size, fetch)) parts.push(outputs);
  return Object.fromEntries(Object.keys(parts[0]!).map((name) => [name, stack(parts.map((part) => part[name]!))]));
}

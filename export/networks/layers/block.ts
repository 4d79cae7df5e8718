import type { Value } from '../../graph/graph.js';
import type { Layer } from './invertible.js';

/** What flows between two blocks: both streams of a reversible network, the one stream of another. */
export type State = readonly Value[];

/** A part of a block. */
export interface Part extends Layer<State> {
  /** What learned branches add to the streams: F(x₂), say. A part without branches has none. */
  residual?(state: State): readonly Value[];
  /** The state that `forward` would give if the branches gave zeros. A part without branches has none. */
  shortcut?(state: State): State;
}

/** One step of a network. Callers ask it for its parts instead of guessing them from shapes. */
export interface Block extends Part {
  readonly name: string;
  /** What the block is made of, one after another. */
  readonly parts: readonly Part[];
}

/**
 * Computes a function once for each argument: a second call with the same argument gives the same nodes of the graph. So the F(x₂) that a
 * loss asks for is the one in the forward pass, and the graph computes it once.
 */
export function once<A extends object, B>(f: (a: A) => B): (a: A) => B {
  const known = new WeakMap<A, B>();
  return (a) => {
    const b = known.has(a) ? known.get(a)! : f(a);
    known.set(a, b);
    return b;
  };
}

/** Parts one after another. The block has an inverse if every part has one, and branches if any part has some. */
export function block(name: string, parts: readonly Part[]): Block {
  const forwards = parts.map((part) => once((state: State) => part.forward(state)));
  const forward = (state: State): State => forwards.reduce((s, f) => f(s), state);
  const residual = (state: State): readonly Value[] => {
    let before = state;
    return parts.flatMap((part, i) => {
      const added = part.residual?.(before) ?? [];
      before = forwards[i]!(before);
      return added;
    });
  };
  const shortcut = (state: State): State => parts.reduce((s, part) => (part.shortcut ?? part.forward)(s), state);
  const inverse = (state: State): State => parts.reduceRight((s, part) => part.inverse!(s), state);
  return {
    name,
    parts: parts.map((part, i) => ({ ...part, forward: forwards[i]! })),
    forward,
    ...(parts.every((part) => part.inverse) && { inverse }),
    ...(parts.some((part) => part.residual) && { residual, shortcut }),
  };
}

import type { Cursor } from './cursor.js';
import { type CheckpointFileError, COPY_AGAIN } from './errors.js';

/** The name of a class or function. It is never resolved to code, so it cannot run. */
export class Reference {
  constructor(
    readonly module: string,
    readonly name: string,
  ) {}
  toString(): string {
    return `${this.module}.${this.name}`.replace(/[^ -~]/g, '?').slice(0, 200);
  }
}

/** An object as the file describes it: the name of its class and the data. No code of the class runs. */
export class Instance {
  state: unknown = null;
  /** Items of a dict's subclass. */
  readonly entries = new Map<unknown, unknown>();
  constructor(
    readonly type: Reference,
    readonly args: readonly unknown[] = [],
  ) {}
}

/** A pure function from data to data. `call` calls another constructor of the same rules. */
export type Constructor = (
  args: readonly unknown[],
  call: (type: unknown, args: readonly unknown[]) => unknown,
) => unknown;

export interface PickleRules {
  /** The only functions that a pickle may call, by "module.name". */
  readonly constructors: Readonly<Record<string, Constructor>>;
  /** The object that a persistent id refers to; throws CheckpointFileError for an unknown kind of id. */
  persistent(id: unknown): unknown;
  /** What the file is, such as "a checkpoint", and what to do when it holds more than data. For messages. */
  readonly what: string;
  readonly remedy: string;
  /** Whether byte strings of Python 2 are data (Uint8Array) where they are long; else they are text (Latin-1). */
  readonly longStringsAreBytes?: boolean;
}

/** The state of a pickle machine. https://github.com/python/cpython/blob/main/Lib/pickletools.py */
export interface Machine {
  readonly input: Cursor;
  readonly rules: PickleRules;
  readonly memo: Map<number, unknown>;
  /** Values since the last mark; `marks` holds the stacks that were current before each mark. */
  stack: unknown[];
  readonly marks: unknown[][];
  /** How many more steps and copied elements are allowed. */
  budget: number;
}

/** About forty times as much as a checkpoint of the largest i-RevNet with its optimiser needs. */
const BUDGET = 2 ** 22;

export const createMachine = (input: Cursor, rules: PickleRules): Machine => ({
  input,
  rules,
  memo: new Map(),
  stack: [],
  marks: [],
  budget: BUDGET,
});

/** Bounds memory and time: a few bytes of a pickle could otherwise ask for any amount of either. */
export function spend(m: Machine, cost: number): void {
  m.budget -= cost;
  if (m.budget < 0) throw m.input.error(`the pickle takes more than ${BUDGET} steps. ${m.rules.remedy}`);
}

export function pop(m: Machine): unknown {
  if (m.stack.length === 0) throw malformed(m, 'takes a value where there is none');
  return m.stack.pop();
}

export function top(m: Machine): unknown {
  if (m.stack.length === 0) throw malformed(m, 'uses a value where there is none');
  return m.stack.at(-1);
}

export function mark(m: Machine): void {
  m.marks.push(m.stack);
  m.stack = [];
}

/** Removes and returns all values above the last mark. */
export function popMark(m: Machine): unknown[] {
  const items = m.stack;
  const below = m.marks.pop();
  if (!below) throw malformed(m, 'looks for a mark where there is none');
  m.stack = below;
  return items;
}

export function recall(m: Machine, index: number): unknown {
  if (!m.memo.has(index)) throw malformed(m, `refers to value ${index}, which was not stored`);
  return m.memo.get(index);
}

export const malformed = (m: Machine, problem: string): CheckpointFileError =>
  m.input.error(`the pickle ${problem}. ${COPY_AGAIN}`);

/** Calls a constructor of the rules. Any other call is refused with an error that names it. */
export function call(m: Machine, type: unknown, args: unknown): unknown {
  if (!(type instanceof Reference) || !Array.isArray(args)) throw malformed(m, 'calls what is no function');
  const { constructors } = m.rules;
  const name = type
    .toString()
    .replace(/^__builtin__\./, 'builtins.')
    .replace(/^copy_reg\./, 'copyreg.');
  if (!Object.hasOwn(constructors, name)) throw refusal(m, `call ${type}`);
  spend(
    m,
    args.reduce<number>((sum, arg) => sum + weight(arg), 0),
  );
  return constructors[name]!(args, (inner, innerArgs) => call(m, inner, innerArgs));
}

export const refusal = (m: Machine, what: string): CheckpointFileError =>
  m.input.error(`the file asks to ${what}, which is refused: ${m.rules.what} holds data alone. ${m.rules.remedy}`);

/** The cost of an argument: an upper bound of what a constructor copies of it. */
function weight(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  if (value instanceof Map) return value.size;
  return typeof value === 'string' || value instanceof Uint8Array ? value.length / 16 : 0;
}

import { decimal, escaped, quoted, signedLittleEndian } from './literals.js';
import {
  call,
  Instance,
  type Machine,
  malformed,
  mark,
  pop,
  popMark,
  Reference,
  recall,
  refusal,
  top,
} from './machine.js';

type Step = (m: Machine) => void;
type Opcodes = Readonly<Record<string, readonly [code: string, step: Step]>>;

/** A step that pushes the value that `take` returns; `take` may pop values first. */
const push =
  (take: (m: Machine) => unknown): Step =>
  (m) => {
    const value = take(m);
    m.stack.push(value);
  };

const literals: Opcodes = {
  NONE: ['N', push(() => null)],
  NEWTRUE: ['\x88', push(() => true)],
  NEWFALSE: ['\x89', push(() => false)],
  INT: ['I', push((m) => decimal(m, m.input.line()))],
  LONG: ['L', push((m) => decimal(m, m.input.line().replace(/L$/, '')))],
  BININT: ['J', push((m) => m.input.i32())],
  BININT1: ['K', push((m) => m.input.u8())],
  BININT2: ['M', push((m) => m.input.u16())],
  LONG1: ['\x8a', push((m) => signedLittleEndian(m, m.input.u8()))],
  LONG4: ['\x8b', push((m) => signedLittleEndian(m, m.input.i32()))],
  FLOAT: ['F', push((m) => Number(m.input.line().replace(/inf$/, 'Infinity')))],
  BINFLOAT: ['G', push((m) => m.input.f64be())],
  STRING: ['S', push((m) => quoted(m, m.input.line()))],
  BINSTRING: ['T', push((m) => binstring(m, m.input.i32()))],
  SHORT_BINSTRING: ['U', push((m) => m.input.latin1(m.input.u8()))],
  UNICODE: ['V', push((m) => escaped(m, m.input.line()))],
  BINUNICODE: ['X', push((m) => m.input.utf8(m.input.u32()))],
  SHORT_BINUNICODE: ['\x8c', push((m) => m.input.utf8(m.input.u8()))],
  BINUNICODE8: ['\x8d', push((m) => m.input.utf8(m.input.u64()))],
  BINBYTES: ['B', push((m) => m.input.bytes(m.input.u32()))],
  SHORT_BINBYTES: ['C', push((m) => m.input.bytes(m.input.u8()))],
  BINBYTES8: ['\x8e', push((m) => m.input.bytes(m.input.u64()))],
  BYTEARRAY8: ['\x96', push((m) => m.input.bytes(m.input.u64()))],
};

const containers: Opcodes = {
  EMPTY_LIST: [']', push(() => [])],
  LIST: ['l', push(popMark)],
  APPEND: ['a', (m) => append(m, [pop(m)])],
  APPENDS: ['e', (m) => append(m, popMark(m))],
  EMPTY_TUPLE: [')', push(() => [])],
  TUPLE: ['t', push(popMark)],
  TUPLE1: ['\x85', push((m) => [pop(m)])],
  TUPLE2: ['\x86', push((m) => [pop(m), pop(m)].reverse())],
  TUPLE3: ['\x87', push((m) => [pop(m), pop(m), pop(m)].reverse())],
  EMPTY_DICT: ['}', push(() => new Map())],
  DICT: [
    'd',
    (m) => {
      const items = popMark(m);
      m.stack.push(new Map());
      setItems(m, items);
    },
  ],
  SETITEM: ['s', (m) => setItems(m, [pop(m), pop(m)].reverse())],
  SETITEMS: ['u', (m) => setItems(m, popMark(m))],
  EMPTY_SET: ['\x8f', push(() => new Set())],
  ADDITEMS: ['\x90', (m) => addItems(m, popMark(m))],
  FROZENSET: ['\x91', push((m) => new Set(popMark(m)))],
};

const stack: Opcodes = {
  MARK: ['(', mark],
  POP: ['0', (m) => (m.stack.length > 0 ? pop(m) : popMark(m))],
  POP_MARK: ['1', popMark],
  DUP: ['2', push(top)],
  GET: ['g', push((m) => recall(m, Number(decimal(m, m.input.line()))))],
  BINGET: ['h', push((m) => recall(m, m.input.u8()))],
  LONG_BINGET: ['j', push((m) => recall(m, m.input.u32()))],
  PUT: ['p', (m) => m.memo.set(Number(decimal(m, m.input.line())), top(m))],
  BINPUT: ['q', (m) => m.memo.set(m.input.u8(), top(m))],
  LONG_BINPUT: ['r', (m) => m.memo.set(m.input.u32(), top(m))],
  MEMOIZE: ['\x94', (m) => m.memo.set(m.memo.size, top(m))],
};

const objects: Opcodes = {
  GLOBAL: ['c', push((m) => new Reference(m.input.line(), m.input.line()))],
  STACK_GLOBAL: [
    '\x93',
    push((m) => {
      const [name, module] = [pop(m), pop(m)];
      if (typeof module !== 'string' || typeof name !== 'string') throw malformed(m, 'names a class by no string');
      return new Reference(module, name);
    }),
  ],
  REDUCE: [
    'R',
    push((m) => {
      const args = pop(m);
      return call(m, pop(m), args);
    }),
  ],
  NEWOBJ: [
    '\x81',
    push((m) => {
      const [args, type] = [pop(m), pop(m)];
      if (!(type instanceof Reference) || !Array.isArray(args)) throw malformed(m, 'makes an object of no class');
      if (args.length > 0) throw refusal(m, `call ${type}`);
      return new Instance(type);
    }),
  ],
  BUILD: ['b', (m) => build(m, pop(m))],
  PERSID: ['P', push((m) => m.rules.persistent(m.input.line()))],
  BINPERSID: ['Q', push((m) => m.rules.persistent(pop(m)))],
};

const refused: Opcodes = {
  INST: [
    'i',
    (m) => {
      throw refusal(m, `call ${new Reference(m.input.line(), m.input.line())}`);
    },
  ],
  OBJ: [
    'o',
    (m) => {
      throw refusal(m, `call ${nameOf(popMark(m)[0])}`);
    },
  ],
  NEWOBJ_EX: [
    '\x92',
    (m) => {
      throw refusal(m, `call ${nameOf([pop(m), pop(m), pop(m)][2])}`);
    },
  ],
  EXT1: ['\x82', (m) => refuseExtension(m, m.input.u8())],
  EXT2: ['\x83', (m) => refuseExtension(m, m.input.u16())],
  EXT4: ['\x84', (m) => refuseExtension(m, m.input.i32())],
  NEXT_BUFFER: ['\x97', refuseBuffer],
  READONLY_BUFFER: ['\x98', refuseBuffer],
};

const framing: Opcodes = {
  PROTO: [
    '\x80',
    (m) => {
      const version = m.input.u8();
      if (version > 5) throw m.input.error(`pickle protocol ${version}; 0 to 5 are read`);
    },
  ],
  FRAME: ['\x95', (m) => void m.input.u64()],
};

/** The step of each opcode, by its byte. The loop in pickle.ts handles STOP. */
export const steps: ReadonlyMap<number, Step> = new Map(
  [literals, containers, stack, objects, refused, framing]
    .flatMap((family) => Object.values(family))
    .map(([code, step]) => [code.charCodeAt(0), step]),
);

function append(m: Machine, items: readonly unknown[]): void {
  const list = top(m);
  if (list instanceof Instance) return; // a subclass of list: its items are not needed
  if (!Array.isArray(list)) throw malformed(m, 'appends to what is no list');
  for (const item of items) list.push(item);
}

function setItems(m: Machine, items: readonly unknown[]): void {
  const target = top(m);
  const dict = target instanceof Instance ? target.entries : target;
  if (!(dict instanceof Map)) throw malformed(m, 'sets items of what is no dict');
  if (items.length % 2 !== 0) throw malformed(m, 'sets a key without a value');
  for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
}

function addItems(m: Machine, items: readonly unknown[]): void {
  const set = top(m);
  if (!(set instanceof Set)) throw malformed(m, 'adds items to what is no set');
  for (const item of items) set.add(item);
}

/** Sets the state of an object. Attributes of dicts and tensors, such as `_metadata`, are ignored. */
function build(m: Machine, state: unknown): void {
  const target = top(m);
  if (target instanceof Reference) throw refusal(m, `change ${target}`);
  if (typeof target !== 'object' || target === null) throw malformed(m, 'gives a state to what has none');
  if (target instanceof Instance) target.state = state;
}

/** Longest byte string that is text where long ones are data. */
const LONGEST_TEXT = 256;

const binstring = (m: Machine, length: number): string | Uint8Array =>
  m.rules.longStringsAreBytes && length > LONGEST_TEXT ? m.input.bytes(length) : m.input.latin1(length);

function refuseExtension(m: Machine, code: number): never {
  throw refusal(m, `call extension ${code}`);
}

function refuseBuffer(m: Machine): never {
  throw m.input.error('the pickle needs buffers that are kept outside it. Save the file without buffer_callback');
}

const nameOf = (type: unknown): string => (type instanceof Reference ? type.toString() : 'what is no class');

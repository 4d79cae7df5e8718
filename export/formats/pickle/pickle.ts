import type { Cursor } from './cursor.js';
import { createMachine, malformed, type PickleRules, pop, spend } from './machine.js';
import { steps } from './opcodes.js';

export { type Constructor, Instance, type PickleRules, Reference } from './machine.js';

const STOP = '.'.charCodeAt(0);

/**
 * Reads one pickle (protocols 0 to 5) as data; the cursor ends after it. No code is resolved or run: a class becomes a
 * Reference, an object an Instance, and only the pure functions of the rules can be called.
 *
 * Numbers become numbers (bigints above 2⁵³), lists and tuples arrays, dicts Maps, sets Sets, bytes Uint8Arrays, None null.
 * @throws CheckpointFileError for a pickle that is damaged, exceeds the budget, or calls any other function
 */
export function readPickle(input: Cursor, rules: PickleRules): unknown {
  const machine = createMachine(input, rules);
  for (;;) {
    const code = input.u8();
    if (code === STOP) return pop(machine);
    const step = steps.get(code);
    if (!step) throw malformed(machine, `has a byte 0x${code.toString(16)} where an opcode belongs`);
    spend(machine, 1);
    step(machine);
  }
}

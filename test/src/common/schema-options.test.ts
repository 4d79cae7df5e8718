import { Command } from 'commander';
import t from 'tap';
import { experiments } from '../../../src/analysis/experiments.js';
import { argumentsOf, schemaOptions } from '../../../src/common/schema-options.js';

interface Described {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
}

/** Values of an option that are written in ways of their own. */
function valuesOf({ type, enum: choices, default: value }: Described): unknown[] {
  if (choices) return [...choices];
  if (type === 'boolean') return [true, false];
  if (type === 'array') return [[], value, [1], [3, 0.5, 1e-7]];
  return [value, 3];
}

t.test('a command reads every option of an experiment as it was written', async (t) => {
  for (const { name, options } of Object.values(experiments)) {
    for (const [key, schema] of Object.entries(options.properties)) {
      for (const value of valuesOf(schema as Described)) {
        const command = new Command();
        for (const option of schemaOptions(options)) command.addOption(option);
        command.parse(argumentsOf(options, { [key]: value }), { from: 'user' });
        const usual = (schema as Described).type === 'boolean' ? ((schema as Described).default ?? false) : undefined;
        t.same(command.opts()[key] ?? usual, value, `${name} ${key} ${JSON.stringify(value)}`);
      }
    }
  }
});

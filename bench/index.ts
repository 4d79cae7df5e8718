import { Argument, Command, Option } from 'commander';
import { positive } from '../src/cli/numbers.js';
import { backends } from './backends.js';
import { batch } from './batch.js';
import { batchKilled } from './batch-killed.js';
import { ceiling } from './ceiling.js';
import { compare } from './compare.js';
import { health } from './health.js';
import { inverse } from './inverse.js';
import { recovery } from './recovery.js';
import { service } from './service.js';
import { type Choice, subjects } from './subjects.js';
import { throughput } from './throughput.js';
import { trainingMemory } from './training-memory.js';
import { trainingStep } from './training-step.js';

/** Every benchmark. Each yields the lines that are printed. */
const benchmarks: Readonly<Record<string, (choice: Choice) => AsyncIterable<object>>> = {
  'training-step': trainingStep,
  'training-memory': trainingMemory,
  inverse,
  throughput,
  health,
  ceiling,
  service,
  compare,
  recovery,
  backends,
  batch,
  'batch-killed': batchKilled,
};

const program = new Command('bench')
  .description('Runs benchmarks and prints JSON lines. Speed is a ratio to a baseline of the same run.')
  .addArgument(new Argument('[names...]', 'benchmarks (default: all)').choices(Object.keys(benchmarks)))
  .option('--seconds <n>', 'duration of each measurement (default: that of the benchmark)', positive)
  .addOption(new Option('--model <name>', 'only this model').choices(subjects))
  .parse();
for (const name of program.args.length > 0 ? program.args : Object.keys(benchmarks)) {
  for await (const line of benchmarks[name]!(program.opts<Choice>())) {
    process.stdout.write(`${JSON.stringify({ benchmark: name, ...line })}\n`);
  }
}

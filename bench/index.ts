import { Argument, Command, Option } from 'commander';
import { positive } from '../src/cli/numbers.js';
import { backends } from './backends.js';
import { batch } from './batch.js';
import { batchKilled } from './batch-killed.js';
import { ceiling } from './ceiling.js';
import { compare } from './compare.js';
import { health } from './health.js';
import { inverse } from './inverse.js';
import { overload } from './overload.js';
import { recovery } from './recovery.js';
import { service } from './service.js';
import { type Choice, subjects } from './subjects.js';
import { survivors } from './survivors.js';
import { throughput } from './throughput.js';
import { trainingStep } from './training-step.js';

/** Every benchmark. Each gives JSON lines; figures that matter are ratios against a baseline of the same run. */
const benchmarks: Readonly<Record<string, (choice: Choice) => AsyncIterable<object>>> = {
  'training-step': trainingStep,
  inverse,
  throughput,
  health,
  ceiling,
  service,
  compare,
  overload,
  recovery,
  survivors,
  batch,
  'batch-killed': batchKilled,
  backends,
};

const program = new Command('bench')
  .description('Measures; prints JSON lines. Speed is told as a ratio against a baseline of the same run.')
  .addArgument(new Argument('[names...]', 'all, when none is named').choices(Object.keys(benchmarks)))
  .option('--seconds <n>', 'how long each measurement takes, where a benchmark leaves that open', positive)
  .addOption(new Option('--model <name>', 'only with this model').choices(subjects))
  .option('--compare', 'the benchmark of this name: beside a FastAPI and PyTorch server')
  .parse();
const { compare: compared, ...choice } = program.opts<Choice & { compare?: true }>();
const wanted = compared ? ['compare'] : program.args;
for (const name of wanted.length > 0 ? wanted : Object.keys(benchmarks)) {
  for await (const line of benchmarks[name]!(choice)) {
    process.stdout.write(`${JSON.stringify({ benchmark: name, ...line })}\n`);
  }
}

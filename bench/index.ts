import { health } from './health.js';
import { inverse } from './inverse.js';
import { throughput } from './throughput.js';
import { trainingStep } from './training-step.js';

/** Every benchmark. Each gives JSON lines; figures that matter are ratios against a baseline of the same run. */
const benchmarks: Readonly<Record<string, () => AsyncIterable<object>>> = {
  'training-step': trainingStep,
  inverse,
  throughput,
  health,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(benchmarks, name));
if (unknown.length > 0) {
  process.stderr.write(`no benchmark ${unknown.join(', ')}; there are: ${Object.keys(benchmarks).join(', ')}\n`);
  process.exitCode = 2;
} else {
  for (const name of wanted.length > 0 ? wanted : Object.keys(benchmarks)) {
    for await (const line of benchmarks[name]!()) {
      process.stdout.write(`${JSON.stringify({ benchmark: name, ...line })}\n`);
    }
  }
}

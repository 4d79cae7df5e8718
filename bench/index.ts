import { parseArgs } from 'node:util';
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
import { slowClients } from './slow-clients.js';
import { type Choice, subjects } from './subjects.js';
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
  'slow-clients': slowClients,
  batch,
  'batch-killed': batchKilled,
  backends,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string' }, model: { type: 'string' }, compare: { type: 'boolean' } },
});
const { model } = values;
const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
const wanted = values.compare ? ['compare'] : positionals;

const unknown = wanted.filter((name) => !Object.hasOwn(benchmarks, name));
const wrong = [
  unknown.length > 0 && `no benchmark ${unknown.join(', ')}; there are: ${Object.keys(benchmarks).join(', ')}`,
  model !== undefined && !subjects.includes(model) && `no model ${model}; there are: ${subjects.join(', ')}`,
  seconds !== undefined && !(seconds > 0) && `--seconds is ${values.seconds}; expected a number above 0`,
].filter((message) => message !== false);

if (wrong.length > 0) {
  process.stderr.write(`${wrong.join('\n')}\n`);
  process.exitCode = 2;
} else {
  for (const name of wanted.length > 0 ? wanted : Object.keys(benchmarks)) {
    for await (const line of benchmarks[name]!({ seconds, model })) {
      process.stdout.write(`${JSON.stringify({ benchmark: name, ...line })}\n`);
    }
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { noiseImages } from '../export/data/noise.js';
import { readModelFolder } from '../export/model/folder.js';
import { faults } from './faults.js';
import { closedLoop, goodput, isAnswered, statusesOf, summary } from './load.js';
import { type Server, startServer, together } from './server.js';
import { rounded } from './statistics.js';
import { type Choice, eachSubject, type Subject } from './subjects.js';

const SERVERS = 3;
const CLIENTS = 48;
const SECONDS = 10;
/** Milliseconds that a server takes for a batch, so long that the cores, which all servers share, do not limit the rate. */
const DELAY = 100;
/** Images in a batch. */
const BATCH = 4;
/** Images whose answers are compared. */
const COMPARED = 64;

/**
 * One service in front of several others (`--backend oip`): its rate over that with one server behind it, whether its answers
 * are the same bytes as those of a service without servers behind it, and whether requests are answered when a server is killed.
 */
export const backends = ({ seconds = SECONDS }: Choice): AsyncGenerator<object> =>
  eachSubject({}, ['fashion-mnist'], async function* (subject) {
    const running: Server[] = [];
    await using _ = together(running);
    const start = async (flags: readonly string[], nodeFlags: readonly string[] = []) => {
      const server = await startServer([...subject.flags, ...flags], nodeFlags);
      running.push(server);
      return server;
    };
    const slow = () => start(['--workers', '1', '--threads', '1'], faults({ delay: DELAY }));
    const servers = await Promise.all(Array.from({ length: SERVERS }, slow));
    const inFrontOf = (behind: readonly Server[]) => {
      const urls = behind.map(({ base }) => base).join();
      return start(['--backend', 'oip', '--backend-url', urls, '--max-batch', `${BATCH}`]);
    };
    const [local, one, all] = [await start([]), await inFrontOf(servers.slice(0, 1)), await inFrontOf(servers)];

    const [expected, found] = [await roundTrip(subject, local), await roundTrip(subject, all)];
    yield { of: 'bytes', images: COMPARED, bytes: expected.length, same: expected.equals(found) };

    const rates: number[] = [];
    for (const [count, { base }] of [[1, one] as const, [SERVERS, all] as const]) {
      const load = await closedLoop(base, subject.requests, { clients: CLIENTS, seconds });
      rates.push(goodput(load));
      yield { of: 'rate', servers: count, delayMs: DELAY, batch: BATCH, ...summary(load) };
    }
    yield { of: 'ratio', ratio: rounded(rates[1]! / rates[0]!) };

    const loading = closedLoop(all.base, subject.requests, { clients: CLIENTS, seconds });
    await sleep(1000 * (1 + seconds / 2));
    const killed = performance.now();
    process.kill(servers[1]!.pid, 'SIGKILL');
    const { answers } = await loading;
    yield {
      of: 'one of them killed',
      statuses: statusesOf(answers),
      unanswered: answers.filter((answer) => !isAnswered(answer)).length,
      answeredAfter: answers.filter(({ end }) => end >= killed).length,
    };
  });

/** The outputs of Φ for images of noise, and of Φ⁻¹ for their features, by the Open Inference Protocol. */
async function roundTrip({ name, folder }: Subject, { base }: Server): Promise<Buffer> {
  const { input } = await readModelFolder(folder);
  const forward = await infer(`${base}/v2/models/${name}`, noiseImages(COMPARED, input, 1).pixels);
  const { outputs } = forward.head as { outputs: { name: string; parameters: { binary_data_size: number } }[] };
  const size = outputs.find((output) => output.name === 'features')!.parameters.binary_data_size;
  // Features are the first output.
  const inverse = await infer(`${base}/v2/models/${name}-inverse`, forward.data.subarray(0, size));
  return Buffer.concat([forward.data, inverse.data]);
}

const JSON_LENGTH = 'inference-header-content-length';

/** An inference with raw bytes in and out. */
async function infer(model: string, body: Uint8Array) {
  const headers = { [JSON_LENGTH]: '0', 'content-type': 'application/octet-stream' };
  const reply = await fetch(`${model}/infer`, { method: 'POST', headers, body: body as Uint8Array<ArrayBuffer> });
  if (!reply.ok) throw new Error(`${model} answers ${reply.status}`);
  const all = Buffer.from(await reply.arrayBuffer());
  const length = Number(reply.headers.get(JSON_LENGTH));
  return { head: JSON.parse(all.toString('utf8', 0, length)) as unknown, data: all.subarray(length) };
}

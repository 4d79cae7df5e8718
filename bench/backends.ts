import { fileURLToPath } from 'node:url';
import { noiseImages } from '../export/data/noise.js';
import { readModelFolder } from '../export/model/folder.js';
import { JSON_LENGTH } from '../src/protocols/oip/request.js';
import { count, during } from './during.js';
import { closedLoop, goodput, isAnswered, summary } from './load.js';
import { type Server, startProcess, startServer } from './server.js';
import { rounded } from './statistics.js';
import { type Choice, eachSubject, type Subject } from './subjects.js';

const SERVERS = 3;
const CLIENTS = 48;
const SECONDS = 10;
/** Milliseconds that a server takes for a batch, and images in one: more than the cores here are kept busy by. */
const DELAY = 100;
const BATCH = 4;
/** Images whose answers are compared. */
const COMPARED = 64;

/**
 * One service in front of several: how many times the rate of one server behind it, whether the answers are the same bytes as
 * without any, and what becomes of requests when a server is killed. The servers take a fixed time for each batch, since
 * they share these cores.
 */
export const backends = ({ seconds = SECONDS }: Choice): AsyncGenerator<object> =>
  eachSubject({}, ['fashion-mnist'], async function* (subject) {
    const script = fileURLToPath(new URL('./throttled-service.js', import.meta.url));
    const behind = await Promise.all(
      Array.from({ length: SERVERS }, () =>
        startProcess(process.execPath, (port) => [script, '--port', `${port}`, '--delay', `${DELAY}`]),
      ),
    );
    const running = [...behind];
    const start = async (flags: readonly string[]) => {
      const server = await startServer([...subject.flags, ...flags]);
      running.push(server);
      return server;
    };
    const urls = (servers: readonly Server[]) => servers.map(({ base }) => base).join(',');
    const remote = (servers: readonly Server[]) =>
      start(['--backend', 'oip', '--backend-url', urls(servers), '--max-batch', `${BATCH}`]);
    try {
      const [local, one, all] = [await start([]), await remote(behind.slice(0, 1)), await remote(behind)];
      yield { of: 'bytes', ...(await compare(subject, local, all)) };
      const rates = [];
      for (const [servers, { base }] of [[1, one] as const, [SERVERS, all] as const]) {
        const load = await closedLoop(base, subject.requests, { clients: CLIENTS, seconds });
        rates.push(goodput(load));
        yield { of: 'rate', servers, delayMs: DELAY, batch: BATCH, ...summary(load) };
      }
      yield { of: 'ratio', ratio: rounded(rates[1]! / rates[0]!) };
      const kill = () => process.kill(behind[1]!.pid, 'SIGKILL');
      const { answers, at } = await during(subject, all.base, { clients: CLIENTS, seconds }, kill);
      yield {
        of: 'one of them killed',
        statuses: count(answers),
        unanswered: answers.filter((answer) => !isAnswered(answer)).length,
        answeredAfter: answers.filter(({ end }) => end >= at).length,
      };
    } finally {
      await Promise.all(running.map((server) => server.stop()));
    }
  });

/** Sends noise through Φ and the features through Φ⁻¹ of both, by the Open Inference Protocol, and compares every byte. */
async function compare({ name, folder }: Subject, ...services: readonly Server[]) {
  const { input } = await readModelFolder(folder);
  const { pixels } = noiseImages(COMPARED, input, 1);
  const through = async ({ base }: Server) => {
    const forward = await infer(`${base}/v2/models/${name}`, pixels);
    const { outputs } = forward.head as { outputs: { name: string; parameters: { binary_data_size: number } }[] };
    const size = outputs.find((output) => output.name === 'features')!.parameters.binary_data_size;
    // Features come first.
    const inverse = await infer(`${base}/v2/models/${name}-inverse`, forward.tail.subarray(0, size));
    return Buffer.concat([forward.tail, inverse.tail]);
  };
  const [one, other] = await Promise.all(services.map(through));
  return { images: COMPARED, bytes: one!.length, same: one!.equals(other!) };
}

/** Raw bytes in, raw bytes out. */
async function infer(model: string, body: Uint8Array) {
  const headers = { [JSON_LENGTH]: '0', 'content-type': 'application/octet-stream' };
  const reply = await fetch(`${model}/infer`, { method: 'POST', headers, body: body as Uint8Array<ArrayBuffer> });
  if (!reply.ok) throw new Error(`${model} answers ${reply.status}`);
  const all = Buffer.from(await reply.arrayBuffer());
  const length = Number(reply.headers.get(JSON_LENGTH));
  return { head: JSON.parse(all.toString('utf8', 0, length)) as unknown, tail: all.subarray(length) };
}

import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { tensor } from '../export/graph/tensor.js';
import { readModelFolder } from '../export/model/folder.js';
import { relativeError } from '../export/model/measure.js';
import { openSession } from '../export/runtime/session.js';
import { closedLoop, goodput, type Load, summary } from './load.js';
import { postForm } from './requests.js';
import { type Server, startProcess, startServer, temporaryFolder, together } from './server.js';
import { median, rounded } from './statistics.js';
import { type Choice, eachSubject, type Subject } from './subjects.js';
import { baseline, python, torchSettings } from './torch.js';

const CLIENTS = [1, 8, 32];
const ROUNDS = 3;
/** The largest relative error of FastAPI's logits. */
const TOLERANCE = 1e-3;

/** A way to serve with FastAPI: threads of an operation, requests at the same time, and images in the body or in a form. */
interface Baseline {
  readonly server: Server;
  readonly threads: number;
  readonly atOnce: number;
  readonly form: boolean;
}

/**
 * Requests a second over those of FastAPI, uvicorn and PyTorch with the same network and weights, measured in turn. FastAPI
 * serves in the best of six ways, chosen for each number of clients.
 */
export const compare = (choice: Choice): AsyncGenerator<object> =>
  eachSubject(choice, ['fashion-mnist', 'irevnet-b'], async function* (subject) {
    await using folder = await temporaryFolder();
    const running: Server[] = [];
    await using _ = together(running);
    const settings = join(folder.path, 'settings.json');
    const { labels } = await readModelFolder(subject.folder);
    await writeFile(settings, JSON.stringify({ ...(await torchSettings(subject.folder)), labels }));
    const ours = await startServer(subject.flags);
    running.push(ours);
    const cores = availableParallelism();
    const baselines: Baseline[] = [];
    for (const [threads, atOnce] of [[1, 40] as const, [1, cores] as const, [cores, 40] as const]) {
      const args = [...baseline('fastapi_server.py'), settings];
      const server = await startProcess(python, (port) => [...args, `${port}`, `${threads}`, `${atOnce}`]);
      running.push(server);
      for (const form of [false, true]) baselines.push({ server, threads, atOnce, form });
    }
    yield { logitsError: rounded(await logitsError(subject, baselines[0]!.server)) };
    for (const clients of CLIENTS) yield await race(subject, ours, baselines, clients);
  });

async function race({ requests, seconds }: Subject, { base }: Server, baselines: readonly Baseline[], clients: number) {
  const forms = await Promise.all(requests.map(({ body }) => postForm('/form', [['file', body!]])));
  const run = ({ server, form }: Baseline, time: number) =>
    closedLoop(server.base, form ? forms : requests, { clients, seconds: time });
  const tried: number[] = [];
  for (const each of baselines) tried.push(goodput(await run(each, seconds / 2)));
  const best = baselines[tried.indexOf(Math.max(...tried))]!;
  const fastapi: Load[] = [];
  const irevnet: Load[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    fastapi.push(await run(best, seconds));
    irevnet.push(await closedLoop(base, requests, { clients, seconds }));
  }
  const { server: _, ...way } = best;
  return {
    clients,
    irevnet: summary(...irevnet),
    fastapi: { ...summary(...fastapi), ...way },
    ratio: rounded(median(irevnet.map((load, i) => goodput(load) / goodput(fastapi[i]!)))),
  };
}

/** The largest relative error of FastAPI's logits over the images. @throws Error where it is too large */
async function logitsError({ folder, images, requests }: Subject, { base }: Server): Promise<number> {
  const { input } = await readModelFolder(folder);
  const session = await openSession(join(folder, 'forward.onnx'), { threads: 1 });
  const errors: number[] = [];
  for (const [i, image] of images.entries()) {
    const raw = sharp(image)
      .toColourspace(input.channels === 1 ? 'b-w' : 'srgb')
      .raw();
    const pixels = tensor('uint8', [1, input.height, input.width, input.channels], await raw.toBuffer());
    const { logits } = await session.run({ pixels }, ['logits']);
    const { headers, body } = requests[i]!;
    const reply = await fetch(`${base}/logits`, { method: 'POST', headers, body: body as Uint8Array<ArrayBuffer> });
    const theirs = Float32Array.from((await reply.json()) as number[]);
    errors.push(relativeError(theirs, logits!.data as Float32Array));
  }
  await session.release();
  const error = Math.max(...errors);
  if (!(error <= TOLERANCE)) throw new Error(`logits differ from FastAPI's by ${error}`);
  return error;
}

import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { packagePath } from '../export/files/package.js';
import { tensor } from '../export/graph/tensor.js';
import { readModelFolder } from '../export/model/folder.js';
import { relativeError } from '../export/model/measure.js';
import { openSession } from '../export/runtime/session.js';
import { formRequest } from './form.js';
import { closedLoop, goodput, joined, type Load, summary } from './load.js';
import { python, torchSettings, withFolder } from './models.js';
import { type Server, startProcess, startServer } from './server.js';
import { median, rounded } from './statistics.js';
import { type Choice, eachSubject, type Subject } from './subjects.js';

const CLIENTS = [1, 8, 32];
const ROUNDS = 3;
/** How far logits may be from PyTorch's, relatively. */
const TOLERANCE = 1e-3;

/** A way to serve by FastAPI, and to send the images to it. */
interface Baseline {
  readonly server: Server;
  readonly threads: number;
  readonly atOnce: number;
  readonly form: boolean;
}

/**
 * Requests a second over those of FastAPI, uvicorn and PyTorch with the same network and weights, in turns. They are
 * served in the best of several ways, chosen for each number of clients.
 */
export const compare = (choice: Choice): AsyncGenerator<object> =>
  eachSubject(choice, ['fashion-mnist', 'irevnet-b'], (subject) =>
    withFolder(async function* (folder) {
      const settings = join(folder, 'settings.json');
      const { labels } = await readModelFolder(subject.folder);
      await writeFile(settings, JSON.stringify({ ...(await torchSettings(subject.folder)), labels }));
      const ours = await startServer(subject.flags);
      const theirs = await startBaselines(settings);
      try {
        yield { logitsError: rounded(await check(subject, theirs[0]!.server)) };
        for (const clients of CLIENTS) yield await race(subject, ours, theirs, clients);
      } finally {
        await Promise.all([ours, ...theirs.map(({ server }) => server)].map((server) => server.stop()));
      }
    }),
  );

async function startBaselines(settings: string): Promise<Baseline[]> {
  const cores = availableParallelism();
  const baselines: Baseline[] = [];
  for (const [threads, atOnce] of [
    [1, 40],
    [1, cores],
    [cores, 40],
  ]) {
    const script = packagePath('bench', 'fastapi_server.py');
    const server = await startProcess(python, (port) => ['-B', script, settings, `${port}`, `${threads}`, `${atOnce}`]);
    for (const form of [false, true]) baselines.push({ server, threads: threads!, atOnce: atOnce!, form });
  }
  return baselines;
}

async function race({ requests, seconds }: Subject, { base }: Server, theirs: readonly Baseline[], clients: number) {
  const forms = await Promise.all(requests.map(({ body }) => formRequest('/form', [['file', body!]])));
  const run = ({ server, form }: Baseline, time: number) =>
    closedLoop(server.base, form ? forms : requests, { clients, seconds: time });
  const tried: number[] = [];
  for (const baseline of theirs) tried.push(goodput(await run(baseline, seconds / 2)));
  const { server, ...best } = theirs[tried.indexOf(Math.max(...tried))]!;
  const [fastapi, irevnet]: Load[][] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    fastapi!.push(await run({ server, ...best }, seconds));
    irevnet!.push(await closedLoop(base, requests, { clients, seconds }));
  }
  const ratio = median(irevnet!.map((load, i) => goodput(load) / goodput(fastapi![i]!)));
  return {
    clients,
    irevnet: summary(joined(irevnet!)),
    fastapi: { ...summary(joined(fastapi!)), ...best },
    ratio: rounded(ratio),
  };
}

/** How far their logits are from ours, at most over the images. @throws Error where that is too far */
async function check({ folder, images, requests }: Subject, { base }: Server): Promise<number> {
  const { input } = await readModelFolder(folder);
  const session = await openSession(join(folder, 'forward.onnx'), { threads: 1 });
  const errors: number[] = [];
  for (const [i, image] of images.entries()) {
    const picture = sharp(image).toColourspace(input.channels === 1 ? 'b-w' : 'srgb');
    const pixels = tensor('uint8', [1, input.height, input.width, input.channels], await picture.raw().toBuffer());
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

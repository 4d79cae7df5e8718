import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CPU, openSession, type Provider, type Session, type SessionOptions } from './session.js';

/** Nodes of a graph that ran somewhere: all, and those of the ops that take the time. */
export interface NodeCount {
  readonly all: number;
  readonly heavy: number;
}

/** Where the nodes of a graph really ran, by the name that ONNX Runtime has for the provider. */
export type Placement = ReadonlyMap<string, NodeCount>;

/** What ONNX Runtime calls its providers. */
export const providerNames: Readonly<Record<Provider, string>> = {
  cpu: 'CPUExecutionProvider',
  cuda: 'CUDAExecutionProvider',
};

/** Convolutions and products. Others, such as those on shapes, may run on the CPU with good reason. */
const HEAVY = /conv|gemm|matmul/i;

/** A graph that runs, but not where it was meant to; the message says where. */
export class PlacementError extends Error {
  override readonly name = 'PlacementError';
}

/**
 * Opens a model, runs it once by `probe`, and checks that every convolution and product ran on the device that was asked
 * for. ONNX Runtime itself does not say when it falls back to the CPU; the profile of a run tells.
 * @throws PlacementError; ONNX Runtime's own error when the model does not load
 */
export async function openPlaced(
  source: string | Uint8Array,
  options: Omit<SessionOptions, 'profile'>,
  probe: (session: Session) => Promise<unknown>,
): Promise<Session> {
  const folder = await mkdtemp(join(tmpdir(), 'irevnet-profile-'));
  try {
    const session = await openSession(source, { ...options, profile: join(folder, 'run') });
    try {
      await probe(session);
      session.endProfiling();
      checkPlacement(await readPlacement(folder), (options.device ?? CPU).provider);
      return session;
    } catch (error) {
      await session.release();
      throw error;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @throws PlacementError */
export function checkPlacement(placement: Placement, provider: Provider): void {
  const wanted = providerNames[provider];
  const others = [...placement].filter(([name, { heavy }]) => name !== wanted && heavy > 0);
  const there = placement.get(wanted)?.heavy ?? 0;
  if (there > 0 && others.length === 0) return;
  const found = others.map(([name, { heavy }]) => `${heavy} on ${name}`).join(', ') || 'none anywhere';
  throw new PlacementError(`convolutions and products ran elsewhere than asked: ${there} on ${wanted}, ${found}`);
}

interface Event {
  readonly cat: string;
  readonly args?: { readonly op_name?: string; readonly provider?: string };
}

/** Counts the nodes in the profile that lies in a folder. A node counts as often as it ran. */
async function readPlacement(folder: string): Promise<Placement> {
  const [file] = await readdir(folder);
  return placementOf(JSON.parse(await readFile(join(folder, file!), 'utf8')) as Event[]);
}

/** @param events of ONNX Runtime's profile https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html */
export function placementOf(events: readonly Event[]): Placement {
  const placement = new Map<string, NodeCount>();
  for (const { cat, args: { op_name = '', provider } = {} } of events) {
    if (cat !== 'Node' || provider === undefined) continue;
    const { all, heavy } = placement.get(provider) ?? { all: 0, heavy: 0 };
    placement.set(provider, { all: all + 1, heavy: heavy + Number(HEAVY.test(op_name)) });
  }
  return placement;
}

import { once } from 'node:events';
import http from 'node:http';
import { isIP } from 'node:net';
import { json } from 'node:stream/consumers';
import { Command } from 'commander';
import { readConfig, type Setting, settingOption } from '../common/config.js';

const PATIENCE = 3000;

interface Flags extends Partial<Record<Setting, string>> {
  readonly live?: true;
}

/** `irevnet health`: asks a service that runs; exit code 1, with the reason, when it is not ready. Loads no model. */
export const healthCommand = new Command('health')
  .description('ask a running service whether it is ready; exit code 1 when it is not')
  .addOption(settingOption('host'))
  .addOption(settingOption('port'))
  .option('--live', 'ask only whether it answers')
  .action(async ({ live, ...flags }: Flags) => {
    const { host, port } = readConfig(flags);
    const address = `http://${reachable(host)}:${port}/${live ? 'healthz' : 'readyz'}`;
    process.stdout.write(`${await ask(address)}\n`);
  });

/** What a service that listens everywhere is asked at, and IPv6 addresses as in URLs. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return isIP(host) === 6 ? `[${host}]` : host;
}

/** @returns what the service says of itself. @throws Error saying why it is not ready, or does not answer */
async function ask(address: string): Promise<string> {
  const { statusCode, body } = await get(address).catch((error: Error) => {
    const reason = error.name === 'AbortError' ? `no answer within ${PATIENCE} ms` : error.message;
    throw new Error(`${address}: ${reason}`);
  });
  if (statusCode === 200 && typeof body.status === 'string') return body.status;
  throw new Error(`${address}: ${body.detail ?? `status ${statusCode}`}`);
}

async function get(address: string): Promise<{ statusCode: number | undefined; body: Answer }> {
  const request = http.get(address, { agent: false, signal: AbortSignal.timeout(PATIENCE) });
  const [reply] = (await once(request, 'response')) as [http.IncomingMessage];
  const body = await json(reply).catch(() => undefined);
  return { statusCode: reply.statusCode, body: (body ?? {}) as Answer };
}

interface Answer {
  readonly status?: unknown;
  readonly detail?: string;
}

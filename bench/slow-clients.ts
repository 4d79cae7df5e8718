import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { closedLoop, goodput, openLoop, statusesOf } from './load.js';
import { type Server, startServer, withServer } from './server.js';
import { median, quantile, rounded } from './statistics.js';
import { type Choice, eachSubject, type Subject } from './subjects.js';

const SLOW = 500;
const ROUNDS = 5;
const SECONDS = 8;
/** The share of the sustainable rate at which the others send. */
const SHARE = 0.5;
const CAP = 256;
/** The time between two bytes. */
const PAUSE_MS = 1000;
/** The head is sent at once by two of three; the third sends it by bytes as well. */
const HEAD = `POST /classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n`;

/** Latency of requests while hundreds of clients send a byte a second, over latency without them, in turns. */
export const slowClients = ({ seconds = SECONDS }: Choice): AsyncGenerator<object> =>
  eachSubject({}, ['fashion-mnist'], (subject) =>
    withServer(startServer(subject.flags), (server) => measure(subject, server, seconds)),
  );

async function* measure({ requests }: Subject, { base, port }: Server, seconds: number): AsyncGenerator<object> {
  const rate = SHARE * goodput(await closedLoop(base, requests, { clients: 8, seconds }));
  const statuses: Record<string, number>[] = [];
  const p99 = async () => {
    const { latencies } = await openLoop(base, requests, { rate, cap: CAP, seconds });
    statuses.push(statusesOf(latencies));
    return quantile(Object.values(latencies).flat(), 0.99);
  };
  const [alone, among]: number[][] = [[], []];
  let replaced = 0;
  for (let round = 0; round < ROUNDS; round++) {
    alone!.push(await p99());
    const slow = startSlow(port);
    // Until all of them are connected and send.
    await sleep(2 * PAUSE_MS);
    among!.push(await p99());
    replaced += slow.stop();
    await sleep(PAUSE_MS);
  }
  yield {
    requestsPerSecond: rounded(rate),
    slowClients: SLOW,
    replaced,
    p99Ms: { alone: alone!.map(rounded), among: among!.map(rounded) },
    ratio: rounded(median(among!) / median(alone!)),
    statuses: { alone: statuses.filter((_, i) => i % 2 === 0), among: statuses.filter((_, i) => i % 2 === 1) },
  };
}

/** Clients that send a byte a second each; one that the service gives up is replaced. `stop` tells how many were. */
function startSlow(port: number) {
  const sockets: { socket: Socket; sent: number }[] = [];
  let replaced = 0;
  const open = (i: number) => {
    const socket = connect(port, '127.0.0.1')
      .on('error', () => undefined)
      .resume();
    const sent = i % 3 === 0 ? 1 : HEAD.length;
    socket.write(HEAD.slice(0, sent));
    sockets[i] = { socket, sent };
  };
  for (let i = 0; i < SLOW; i++) open(i);
  let next = 0;
  // A few bytes every few milliseconds, not all at once.
  const timer = setInterval(() => {
    for (let n = 0; n < SLOW / 100; n++, next = (next + 1) % SLOW) {
      const one = sockets[next]!;
      if (one.socket.destroyed || one.socket.readableEnded) {
        replaced++;
        open(next);
      } else one.socket.write(HEAD[one.sent++] ?? 'x');
    }
  }, PAUSE_MS / 100);
  return {
    stop() {
      clearInterval(timer);
      for (const { socket } of sockets) socket.destroy();
      return replaced;
    },
  };
}

import { connect, type Socket } from 'node:net';
import { constants, setPriority } from 'node:os';

// Clients that send a byte a second each; one that the service gives up is replaced. Told anything, the process says what
// became of it, and ends. It takes what is left of the cores: those of real slow clients are their own.

export interface Slow {
  /** Clients that the service gave up. */
  readonly replaced: number;
  /** Bytes that each client sent a second, but for its first. */
  readonly bytesPerSecond: number;
}

/** The time between two bytes. */
const PAUSE_MS = 1000;
/** The head is sent at once by two of three; the third sends it by bytes as well. */
const HEAD = `POST /classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n`;

const [port, count] = process.argv.slice(2).map(Number) as [port: number, count: number];
const sockets: { socket: Socket; sent: number }[] = [];
let [replaced, bytes] = [0, 0];
const open = (i: number) => {
  const socket = connect(port, '127.0.0.1')
    .on('error', () => undefined)
    .resume();
  const sent = i % 3 === 0 ? 1 : HEAD.length;
  socket.write(HEAD.slice(0, sent));
  sockets[i] = { socket, sent };
};
setPriority(constants.priority.PRIORITY_LOW);
for (let i = 0; i < count; i++) open(i);
const start = performance.now();
// A few bytes every few milliseconds, not all at once; who is behind catches up.
let turns = 0;
const timer = setInterval(() => {
  for (const due = ((performance.now() - start) / PAUSE_MS) * count; turns < due; turns++) {
    const i = turns % count;
    const one = sockets[i]!;
    if (one.socket.destroyed || one.socket.readableEnded) {
      replaced++;
      open(i);
    } else {
      one.socket.write(HEAD[one.sent++] ?? 'x');
      bytes++;
    }
  }
}, 10);
process.once('message', () => {
  clearInterval(timer);
  for (const { socket } of sockets) socket.destroy();
  const bytesPerSecond = ((bytes / count) * 1000) / (performance.now() - start);
  process.send!({ replaced, bytesPerSecond } satisfies Slow, () => process.disconnect());
});
process.once('disconnect', () => process.exit());

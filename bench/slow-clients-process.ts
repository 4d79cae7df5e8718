import { connect, type Socket } from 'node:net';

// Clients that send a byte a second each; one that the service gives up is replaced. Told anything, the process says how many
// were, and ends.

/** The time between two bytes. */
const PAUSE_MS = 1000;
/** The head is sent at once by two of three; the third sends it by bytes as well. */
const HEAD = `POST /classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n`;

const [port, count] = process.argv.slice(2).map(Number) as [port: number, count: number];
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
for (let i = 0; i < count; i++) open(i);
let next = 0;
// A few bytes every few milliseconds, not all at once.
const timer = setInterval(() => {
  for (let n = 0; n < count / 100; n++, next = (next + 1) % count) {
    const one = sockets[next]!;
    if (one.socket.destroyed || one.socket.readableEnded) {
      replaced++;
      open(next);
    } else one.socket.write(HEAD[one.sent++] ?? 'x');
  }
}, PAUSE_MS / 100);
process.once('message', () => {
  clearInterval(timer);
  for (const { socket } of sockets) socket.destroy();
  process.send!(replaced, () => process.disconnect());
});
process.once('disconnect', () => process.exit());

import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { service } from '../../helpers/app.js';
import { call, cli, finished, startCli } from '../../helpers/cli.js';

t.test('the exit code says whether the service is ready', async (t) => {
  const { app, engine } = await service(t);
  const port = new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port;
  t.same(await cli('health', '--port', port), { code: 0, stdout: 'ready\n', stderr: '' });
  t.match(await cli('health', '--port', port, '--host', '0.0.0.0', '--live'), { code: 0, stdout: 'ok\n' });
  t.match(await finished(startCli(['health'], { IREVNET_PORT: port })), { code: 0, stdout: 'ready\n' });
  engine.drain();
  const leaving = await call('health', '--port', port);
  t.match(leaving, { code: 1, stdout: '', stderr: /^irevnet: http:\S+\/readyz: .*about to shut down.*\n$/ });
  t.match(await cli('health', '--port', port, '--live'), { code: 0, stdout: 'ok\n' });
  await app.close();
  t.match(await call('health', '--port', port), { code: 1, stdout: '', stderr: /^irevnet: http:.*ECONNREFUSED.*\n$/ });
});

t.test('IPv6 addresses are asked, too', async (t) => {
  const { app } = await service(t);
  const listening = await app.listen({ host: '::1', port: 0 }).catch(() => undefined);
  if (listening === undefined) return t.pass('there is no IPv6 here');
  const { port } = new URL(listening);
  for (const host of ['::1', '::']) t.match(await cli('health', '--port', port, '--host', host), { code: 0 }, host);
});

t.test('what does not answer, or is another service, is not ready', async (t) => {
  const answering = (answer: string) => createServer((socket) => socket.end(`HTTP/1.1 ${answer}`));
  const silent = createServer();
  const other = answering('200 OK\r\nContent-Length: 2\r\n\r\nhi');
  const failing = answering('503 No\r\nContent-Length: 15\r\n\r\n{"status":"ok"}');
  for (const server of [silent, other, failing]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
  }
  const ask = (server: typeof other) => call('health', '--port', String((server.address() as AddressInfo).port));
  t.match(await ask(silent), { code: 1, stderr: /no answer within 3000 ms/ });
  t.match(await ask(other), { code: 1, stderr: /status 200/ });
  t.match(await ask(failing), { code: 1, stderr: /status 503/ });
  t.match(await call('health', '--port', '99999'), { code: 2, stderr: /--port is "99999"/ });
});

t.test('it loads no native code, as other commands do', async (t) => {
  const folder = t.testdir();
  const spy = join(folder, 'spy.cjs');
  await writeFile(spy, "process.on('exit', () => console.error(process.report.getReport().sharedObjects.join('\\n')))");
  const loaded = async (...args: string[]) =>
    (await finished(startCli(args, { NODE_OPTIONS: `--require "${spy}"` }))).stderr;
  const native = /onnxruntime|sharp/;
  t.notMatch(await loaded('health', '--port', '1'), native);
  t.match(await loaded('encode', '--help'), native);
});

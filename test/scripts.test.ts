import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { packagePath } from '../export/files/package.js';
import { models } from './helpers/batch.js';

const { scripts } = JSON.parse(await readFile(packagePath('package.json'), 'utf8'));

/** A package with the scripts of this one, except that it is built already. */
async function built(t: Test): Promise<string> {
  const folder = t.testdir({});
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ type: 'module', scripts: { ...scripts, build: 'exit' } }),
  );
  await symlink(packagePath('dist'), join(folder, 'dist'));
  return folder;
}

const commands = { start: ['start', '-s', '--'], irevnet: ['run', '-s', 'irevnet', '--', 'serve'] };
for (const [script, args] of Object.entries(commands)) {
  t.test(
    `SIGTERM to npm ends the service of the script ${script}`,
    { skip: process.platform === 'win32' },
    async (t) => {
      const settings = ['--port', '0', '--models', models, '--model', 'small', '--workers', '1'];
      const env = { ...process.env, NODE_OPTIONS: '' };
      const npm = spawn('npm', [...args, ...settings], {
        cwd: await built(t),
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let service: number | undefined;
      t.teardown(() => npm.kill('SIGKILL'));
      const ended = once(npm, 'exit');
      const said: string[] = [];
      // The end of the output is the end of every process that has it.
      for await (const line of createInterface(npm.stdout!)) {
        const { msg, pid } = JSON.parse(line);
        said.push(msg);
        if (msg !== 'ready') continue;
        service = pid;
        t.teardown(() => {
          try {
            process.kill(pid, 'SIGKILL');
          } catch {
            // It has ended, as it should.
          }
        });
        npm.kill('SIGTERM');
      }
      t.same(await ended, [0, null]);
      t.ok(said.includes('stopping'), 'the service was told');
      t.throws(() => process.kill(service!, 0), { code: 'ESRCH' }, 'and is gone');
    },
  );
}

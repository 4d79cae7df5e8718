import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { packagePath } from '../../export/files/package.js';

t.test('the example in the docstring of the package entry runs', async (t) => {
  const source = await readFile(packagePath('export', 'index.ts'), 'utf8');
  const example = [...source.matchAll(/^ \* {5}(.*)$/gm)].map(([, line]) => line).join('\n');
  const entry = pathToFileURL(packagePath('dist', 'export', 'index.js')).href;
  const file = join(t.testdir(), 'example.mjs');
  await writeFile(file, example.replace("'irevnet/graph'", JSON.stringify(entry)));
  const log = t.capture(console, 'log');
  await import(pathToFileURL(file).href);
  const [loss, gradient] = log()[0]!.args as [Float32Array, Float32Array];
  t.same([...loss], [0.5]);
  t.same([...gradient], [0, 1, 0, 2, 0, 3]);
});

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { decodeText, EncodingError } from '../../../export/files/text.js';
import { readSpecification } from '../../../export/networks/read.js';
import { readRecipe } from '../../../export/train/recipe.js';
import { readLabels } from '../../../src/cli/labels.js';
import { listInputs } from '../../../src/jobs/inputs.js';
import { small } from '../../helpers/networks.js';

/** A text as programs of Windows write it. */
const marked = (text: string): Buffer => Buffer.from(`\ufeff${text}`);
const wide = (text: string): Buffer => Buffer.from(`\ufeff${text}`, 'utf16le');

t.test('UTF-8 is decoded, its mark dropped; other encodings are named', async (t) => {
  for (const text of ['', 'a', 'é', '\n', '日本', '🙂']) {
    t.equal(decodeText(Buffer.from(text), 'it'), text);
    t.equal(decodeText(marked(text), 'it'), text);
    t.throws(() => decodeText(wide(text), 'it'), new EncodingError('it is UTF-16 or UTF-32 text; expected UTF-8'));
    t.throws(() => decodeText(wide(text).swap16(), 'it'), { name: 'EncodingError' });
  }
  t.throws(() => decodeText(Buffer.from('ab', 'utf16le'), 'it'), /UTF-16/, 'without a mark');
  t.throws(() => decodeText(Buffer.from('é', 'latin1'), 'it'), /it holds bytes that are not UTF-8/);
});

t.test('files that people write are read with a mark, and refused in UTF-16', async (t) => {
  const folder = t.testdir();
  const file = join(folder, 'file.json');
  const settings = { network: 'fashion-mnist', dataset: 'fashion-mnist', settings: await readRecipe('fashion-mnist') };
  const recipe = { ...settings, settings: settings.settings.settings };
  const readers: Readonly<Record<string, readonly [string, () => Promise<unknown>, object]>> = {
    network: [
      JSON.stringify({ architecture: 'irevnet', config: small }),
      () => readSpecification(file),
      { config: small },
    ],
    recipe: [JSON.stringify(recipe), () => readRecipe(file), { dataset: 'fashion-mnist' }],
    labels: ['cat\ndog\n', () => readLabels(file, 2), ['cat', 'dog']],
    'labels as JSON': ['["cat", "dog"]', () => readLabels(file, 2), ['cat', 'dog']],
    manifest: ['a.png\nb.png\n', () => listInputs(file, 'images'), { items: [{ id: 'a.png' }, { id: 'b.png' }] }],
    'manifest as JSON': ['{"path": "a.png"}\n', () => listInputs(file, 'images'), { items: [{ id: 'a.png' }] }],
  };
  for (const [name, [text, read, expected]] of Object.entries(readers)) {
    for (const bytes of [Buffer.from(text), marked(text)]) {
      await writeFile(file, bytes);
      t.match(await read(), expected, name);
    }
    await writeFile(file, wide(text));
    await t.rejects(read(), { name: 'EncodingError', message: /file\.json is UTF-16/ }, name);
  }
});

import t from 'tap';
import { pictureNames } from '../../../src/jobs/names.js';

const namesOf = (...ids: string[]) => ids.map(pictureNames());

t.test('a picture is named after its input', async (t) => {
  t.same(namesOf('cat.jpg', 'below/dog.TIFF', 'image 4', 'b.npy#0', 'b.npy#12', 'c.jpg.npy', 'v1.2'), [
    'cat.png',
    'below/dog.png',
    'image 4.png',
    'b-0.png',
    'b-12.png',
    'c.jpg.png',
    'v1.2.png',
  ]);
});

t.test('each has a path of its own, whatever the ids are', async (t) => {
  t.same(namesOf('a.jpg', 'a.png', 'A.gif', 'a-2', 'a', 'a-2-2'), [
    'a.png',
    'a-2.png',
    'A-3.png',
    'a-2-2.png',
    'a-4.png',
    'a-2-2-2.png',
  ]);
  t.same(namesOf('a', 'a.png/b.jpg'), ['a.png', 'a_png/b.png'], 'no picture has the name of a folder');
  const many = namesOf(...Array.from({ length: 100_000 }, () => 'same.png'));
  t.equal(new Set(many).size, many.length);
  t.equal(many.at(-1), 'same-100000.png');
});

t.test('no name leads out of the folder, and every file system takes it', async (t) => {
  t.same(namesOf('../../etc/passwd', '/tmp/x.png', '..', '', './/.', 'a\\b\0c:d?.png', ' . /x'), [
    'etc/passwd.png',
    'tmp/x.png',
    'image.png',
    'image-2.png',
    'image-3.png',
    'a-b-c-d-.png',
    'x.png',
  ]);
  const [long] = namesOf(`${'界'.repeat(300)}.png`);
  t.ok(Buffer.byteLength(long!) <= 255);
});

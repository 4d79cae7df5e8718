import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, createReadStream, openSync } from 'node:fs';
import { chmod, lstat, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { checkWritable, restoreFolders, writeAtomically, writeFolder } from '../../../export/files/write.js';

const modeOf = async (path: string) => (await stat(path)).mode & 0o7777;

t.test('a file that is replaced leaves its mode and owner to the new one', async (t) => {
  const folder = t.testdir({ secret: 'old' });
  const path = join(folder, 'secret');
  await chmod(path, 0o640);
  const { uid, gid, ino } = await stat(path);
  await writeAtomically(path, 'new');
  t.equal(await readFile(path, 'utf8'), 'new');
  t.match(await stat(path), { uid, gid });
  t.equal(await modeOf(path), 0o640);
  t.not((await stat(path)).ino, ino, 'it took the place of the old one');
  t.same(await readdir(folder), ['secret']);
});

t.test('links are followed, also one to a file that is not there yet', async (t) => {
  const folder = t.testdir({ far: { file: 'old' } });
  await symlink('far/file', join(folder, 'link'));
  await symlink('link', join(folder, 'twice'));
  await symlink('far/fresh', join(folder, 'dangling'));
  await writeAtomically(join(folder, 'twice'), 'new');
  await writeAtomically(join(folder, 'dangling'), 'fresh');
  t.equal(await readlink(join(folder, 'twice')), 'link');
  t.equal(await readFile(join(folder, 'far', 'file'), 'utf8'), 'new');
  t.equal(await readFile(join(folder, 'far', 'fresh'), 'utf8'), 'fresh');
  t.ok((await lstat(join(folder, 'dangling'))).isSymbolicLink());
  t.same((await readdir(join(folder, 'far'))).sort(), ['file', 'fresh']);
});

t.test('a pipe is written into', async (t) => {
  const folder = t.testdir({});
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  await symlink('pipe', join(folder, 'link'));
  for (const path of [pipe, join(folder, 'link')]) {
    const reader = createReadStream(pipe, { encoding: 'utf8' });
    const read = once(reader, 'data');
    await writeAtomically(path, [Buffer.from('fea'), Buffer.from('tures')]);
    t.match((await read)[0], /^fea/);
    reader.destroy();
    t.ok((await lstat(pipe)).isFIFO(), 'it is still a pipe');
  }
  t.same((await readdir(folder)).sort(), ['link', 'pipe']);
});

/** A device of the same kind as one of /dev; undefined where it cannot be made or used. */
function device(path: string, minor: number): string | undefined {
  try {
    execFileSync('mknod', [path, 'c', '1', `${minor}`], { stdio: 'ignore' });
    closeSync(openSync(path, 'r'));
    return path;
  } catch {
    return undefined;
  }
}

t.test('a device is written into and stays one', async (t) => {
  const folder = t.testdir({});
  const [none, full] = [device(join(folder, 'null'), 3), device(join(folder, 'full'), 7)];
  if (!none || !full) return t.comment('this user cannot make devices here');
  await writeAtomically(none, 'features');
  await t.rejects(writeAtomically(full, 'features'), { code: 'ENOSPC' });
  for (const path of [none, full]) t.ok((await lstat(path)).isCharacterDevice());
  t.same((await readdir(folder)).sort(), ['full', 'null']);
});

t.test('a folder is refused where a file goes, and a file where a folder goes', async (t) => {
  const folder = t.testdir({ folder: {}, file: 'precious' });
  await t.rejects(writeAtomically(join(folder, 'folder'), 'x'), { code: 'EISDIR' });
  const filled = writeFolder(join(folder, 'file'), async () => t.fail('something was written'));
  await t.rejects(filled, { code: 'ENOTDIR' });
  t.equal(await readFile(join(folder, 'file'), 'utf8'), 'precious');
});

t.test('whether a file can be written is told before, and nothing is made', async (t) => {
  const folder = t.testdir({ file: '', folder: {} });
  await checkWritable(join(folder, 'file'));
  await checkWritable(join(folder, 'a', 'b', 'new'));
  await checkWritable('/dev/null');
  await t.rejects(checkWritable(join(folder, 'folder')), { code: 'EISDIR' });
  await t.rejects(checkWritable(join(folder, 'file', 'new')), { code: 'ENOTDIR' });
  await t.rejects(checkWritable(join(folder, 'file', 'a', 'new')), { code: 'ENOTDIR' });
  t.same(await readdir(folder), ['file', 'folder']);
});

t.test('a folder that is replaced leaves its mode to the new one, and a link to it stays', async (t) => {
  const folder = t.testdir({ far: { old: '' } });
  await chmod(join(folder, 'far'), 0o700);
  await symlink('far', join(folder, 'model'));
  await writeFolder(join(folder, 'model'), (fresh) => writeFile(join(fresh, 'new'), ''));
  t.equal(await readlink(join(folder, 'model')), 'far');
  t.same(await readdir(join(folder, 'far')), ['new']);
  t.equal(await modeOf(join(folder, 'far')), 0o700);
  t.same((await readdir(folder)).sort(), ['far', 'model']);
});

t.test('a folder that was moved away when its process was killed comes back', async (t) => {
  const moved = { 'model.0123456789ab.old': { weights: 'old' }, 'model.0123456789ab.tmp': { weights: 'new' } };
  const folder = t.testdir({ ...moved, other: {}, 'other.0123456789ab.old': {} });
  restoreFolders(folder);
  t.equal(await readFile(join(folder, 'model', 'weights'), 'utf8'), 'old');
  t.same((await readdir(folder)).sort(), ['model', 'model.0123456789ab.tmp', 'other', 'other.0123456789ab.old']);
  const again = t.testdir(moved);
  const failed = writeFolder(join(again, 'model'), async () => {
    throw new Error('disk full');
  });
  await t.rejects(failed, { message: 'disk full' });
  t.equal(await readFile(join(again, 'model', 'weights'), 'utf8'), 'old');
  t.doesNotThrow(() => restoreFolders(join(again, 'nowhere')));
});

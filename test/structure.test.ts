import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import t from 'tap';
import { packagePath } from '../export/files/package.js';

/** The rooms of the tree, each group above those before it: a file imports from its own room and from groups below. */
const FLOORS: readonly (readonly string[])[] = [
  ['export/files'],
  ['export/graph'],
  ['export/lower', 'export/networks', 'export/formats'],
  ['export/runtime', 'export/data'],
  ['export/model'],
  ['export/train', 'export/import'],
  ['export'],
  ['src/common'],
  ['src/images', 'src/protocols'],
  ['src/engine'],
  ['src/operations'],
  ['src/analysis'],
  ['src/jobs', 'src/observe', 'src/report'],
  ['src/http'],
  ['src/cli'],
];
/** What runs in browsers: the client of the service imports nothing of the project, and the page nothing but the client. */
const APART: Readonly<Record<string, readonly string[]>> = { 'src/client': [], 'src/web': ['src/client'] };

const root = packagePath();
const listed = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => join(folder, name));
const files = [...listed('export'), ...listed('src')];

/** The files of the project that a file imports, for values or for types. */
function importsOf(file: string): string[] {
  const source = readFileSync(join(root, file), 'utf8');
  const specifiers = [...source.matchAll(/(?:from|import|import\()\s*'(\.[^']+)\.js'/g)].map(([, path]) => path!);
  return specifiers.map((path) => {
    const module = normalize(join(dirname(file), path));
    return existsSync(join(root, `${module}.ts`)) ? `${module}.ts` : `${module}.tsx`;
  });
}
const imports = new Map(files.map((file) => [file, importsOf(file)]));

const rooms = [...FLOORS.flat(), ...Object.keys(APART)];
const roomOf = (file: string): string | undefined =>
  rooms.filter((room) => dirname(file) === room || file.startsWith(`${room}/`)).sort((a, b) => b.length - a.length)[0];
const floorOf = (room: string): number => FLOORS.findIndex((floor) => floor.includes(room));

t.test('every file lies in a room', async (t) => {
  t.same(
    files.filter((file) => {
      const room = roomOf(file);
      return room === undefined || (room === 'export' && dirname(file) !== 'export');
    }),
    [],
  );
});

t.test('a file imports from its own room and from rooms below', async (t) => {
  const wrong = files.flatMap((file) => {
    const room = roomOf(file)!;
    const others = imports.get(file)!.filter((imported) => roomOf(imported) !== room);
    const allowed = (imported: string) =>
      APART[room]?.includes(roomOf(imported)!) ?? floorOf(roomOf(imported)!) < floorOf(room);
    return others.filter((imported) => !allowed(imported)).map((imported) => `${file} imports ${imported}`);
  });
  t.same(wrong, []);
});

t.test('no file imports itself by way of others', async (t) => {
  const circles = new Set<string>();
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): void => {
    const from = path.indexOf(file);
    if (from >= 0) {
      circles.add([...path.slice(from), file].join(' → '));
      return;
    }
    if (done.has(file)) return;
    for (const imported of imports.get(file) ?? []) walk(imported, [...path, file]);
    done.add(file);
  };
  for (const file of files) walk(file, []);
  t.same([...circles], []);
});

t.test('every folder of test/export and test/src is one of what is tested', async (t) => {
  const folders = ['export', 'src'].flatMap((half) =>
    readdirSync(join(root, 'test', half), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => relative(join(root, 'test'), join(entry.parentPath, entry.name))),
  );
  t.ok(folders.length > 10);
  t.same(
    folders.filter((folder) => !files.some((file) => file.startsWith(`${folder}/`))),
    [],
  );
});

t.test('the map in README names every room', async (t) => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const map = /## Map.*?```\n(.*?)```/s.exec(readme)?.[1] ?? '';
  for (const half of ['export', 'src']) {
    const there = readdirSync(join(root, half), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const { name } of there) t.match(map, new RegExp(`\\b${name}/`), `${half}/${name}`);
  }
});

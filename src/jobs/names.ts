import type { InputKind } from './plan.js';

/** The endings of files that a folder of inputs is searched for. */
export const endings: Readonly<Record<InputKind, readonly string[]>> = {
  images: ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif'],
  features: ['.npy', '.safetensors', '.json'],
};

export const hasEnding = (path: string, kind: InputKind): boolean =>
  endings[kind].some((ending) => path.toLowerCase().endsWith(ending));

const ENDING = new RegExp(`(?:${Object.values(endings).flat().join('|').replaceAll('.', '\\.')})(?=#\\d+$|$)`, 'i');
/** Characters that some file system or shell does not take in a name. */
const UNUSUAL = /[\p{Cc}\\:*?"<>|#]/gu;
/** File systems allow 255 bytes, of which a character takes up to three for each unit of UTF-16. */
const LONGEST = 80;

/**
 * Gives inputs the paths of their pictures, one after the other: the id, ending in .png instead of its ending, and with a
 * number where another input has that path already. No path leads out of the folder, and none is a folder of another.
 */
export function pictureNames(): (id: string) => string {
  /** The last number that was tried for each path. */
  const taken = new Map<string, number>();
  // Some file systems do not tell capitals from small letters.
  const keyOf = (path: string) => path.toLowerCase();
  return (id) => {
    const name = safePath(id);
    let [path, number] = [name, taken.get(keyOf(name)) ?? 1];
    while (taken.has(keyOf(path))) path = `${name}-${++number}`;
    taken.set(keyOf(path), 1).set(keyOf(name), number);
    return `${path}.png`;
  };
}

function safePath(id: string): string {
  const parts = id.replace(ENDING, '').split('/').map(safePart);
  const usable = parts.filter((part) => !/^\.*$/.test(part));
  const [file = 'image', ...folders] = usable.reverse();
  return [...folders.reverse().map((folder) => folder.replace(/\.png$/i, '_png')), file].join('/');
}

const safePart = (part: string): string => part.replace(UNUSUAL, '-').slice(0, LONGEST).trim();

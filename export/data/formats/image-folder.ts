import { type Content, DatasetError, type Part } from '../dataset.js';
import { baseName, type Files, folderOf, type ImageFile } from '../files/files.js';
import type { Format, Found } from './format.js';
import { leftAside, type PartWord, partNamed, testPart } from './parts.js';

/** Endings by which image files are found: those of torchvision's ImageFolder, and AVIF and GIF. */
const ENDING = /\.(jpe?g|png|webp|tiff?|gif|avif|bmp|ppm|pgm)$/i;
export const isImage = (name: string): boolean => ENDING.test(name);

/** Images of one part, by class. */
type Classes = Map<string, string[]>;

/**
 * A folder for each class, as torchvision's ImageFolder reads it: train/<class>/… and val/ or test/<class>/…, or <class>/…
 * alone. Classes are in the order of the folders' names; folders inside a class belong to it.
 */
export const imageFolder: Format = {
  title: 'folders of images',
  expects: 'train/<class>/<image> and val/ or test/<class>/<image>, or <class>/<image>',
  recognises: (files) => {
    const found = partsIn(files);
    return [...found.values()].some((classes) => classes.size > 1);
  },
  async open(files) {
    const found = partsIn(files);
    if (found.size === 0)
      throw new DatasetError(`${files.path} has no images in folders; expected ${imageFolder.expects}`);
    const labels = classesOf(files, found);
    const [train, held] = [found.get('train'), testPart(new Set([...found.keys()].filter((p) => p !== 'all')))];
    const content = (classes: Classes) => async () => contentOf(files, classes, labels);
    const parts: Found['parts'] = held
      ? { ...(train && { train: content(train) }), test: content(found.get(held)!) }
      : { all: content((train ?? found.get('all'))!) };
    return {
      labels,
      named: true,
      parts: parts as Partial<Record<Part, () => Promise<Content>>>,
      notes: leftAside(new Set(found.keys()) as Set<PartWord>),
    };
  },
};

/** The images of every part, by class; those of the part 'all' where the folders name no parts. */
function partsIn({ names }: Files): Map<PartWord | 'all', Classes> {
  const images = names.filter(isImage);
  const base = baseOf(images);
  const inside = images.map((name) => name.slice(base.length).split('/'));
  const split = inside.some(([first]) => partNamed(first!) !== undefined);
  const found = new Map<PartWord | 'all', Classes>();
  for (const [i, words] of inside.entries()) {
    const part = split ? partNamed(words[0]!) : 'all';
    const [name, file] = split ? words.slice(1) : words;
    if (part === undefined || name === undefined || file === undefined) continue;
    const classes = found.get(part) ?? new Map<string, string[]>();
    found.set(part, classes);
    const list = classes.get(name) ?? [];
    classes.set(name, list);
    list.push(images[i]!);
  }
  return found;
}

/** The folder around all classes, or around train/ and the like: "" or a path that ends in "/". */
function baseOf(images: readonly string[]): string {
  const [first, ...others] = images.map((name) => folderOf(name).split('/'));
  let common = first ?? [];
  for (const words of others) {
    const differs = common.findIndex((word, i) => words[i] !== word);
    if (differs >= 0) common = common.slice(0, differs);
  }
  const part = common.findIndex((word) => partNamed(word) !== undefined);
  // A folder that holds images itself is a class.
  const around = images.some((name) => folderOf(name) === common.join('/')) ? common.slice(0, -1) : common;
  const kept = part >= 0 ? common.slice(0, part) : around;
  return kept.length === 0 || kept[0] === '' ? '' : `${kept.join('/')}/`;
}

/** The names of all classes. @throws DatasetError when a class has no image, or no training image */
function classesOf({ path, names, empty }: Files, found: ReadonlyMap<string, Classes>): string[] {
  const labels = [...new Set([...found.values()].flatMap((classes) => [...classes.keys()]))].sort();
  if (labels.length < 2)
    throw new DatasetError(
      `${path} has images of one class alone (${labels.join()}); expected a folder for each class`,
    );
  const [any] = [...found.values()][0]!.values();
  const depth = folderOf(any![0]!).split('/').length;
  const bare = empty.filter((folder) => folder.split('/').length === depth);
  const others = [...new Set(names.filter((name) => !isImage(name) && name.split('/').length > depth).map(folderOf))];
  const without = [
    ...bare,
    ...others.filter((folder) => !names.some((name) => isImage(name) && name.startsWith(`${folder}/`))),
  ];
  if (without.length > 0)
    throw new DatasetError(`${path}: no images in ${some(without)}; put some there, or remove what is no class`);
  const train = found.get('train');
  const untrained = train ? labels.filter((label) => !train.has(label)) : [];
  if (untrained.length > 0)
    throw new DatasetError(
      `${path}: no training images of ${some(untrained)}, of which there are test images; expected the same classes in both`,
    );
  return labels;
}

const SHOWN = 5;
const some = (names: readonly string[]): string =>
  names.slice(0, SHOWN).join(', ') + (names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '');

function contentOf(files: Files, classes: Classes, labels: readonly string[]): Content {
  const images: ImageFile[] = [];
  const numbers: number[] = [];
  for (const [number, label] of labels.entries()) {
    for (const name of classes.get(label) ?? []) {
      images.push({ name, place: files.place(name) });
      numbers.push(number);
    }
  }
  return { kind: 'files', files: images, labels: Uint16Array.from(numbers) };
}

/** Files of names beside the classes, such as labels.txt. */
export const namesFile = ({ names }: Files): string | undefined =>
  names.find((name) => /^(labels|classes|class_names|LOC_synset_mapping)\.txt$/.test(baseName(name)));

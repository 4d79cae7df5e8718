import { open } from 'node:fs/promises';
import type { Place } from '../../export/data/files/files.js';
import type { Content, Dataset } from '../../export/data/index.js';
import { configurations } from '../../export/networks/configurations.js';
import type { InputConfig } from '../../export/networks/input.js';
import type { Preprocessing } from '../../export/networks/preprocessing.js';
import { fitNetwork } from '../../export/train/fit.js';
import { DEFAULT_RECIPE, type NamedNetwork, recipeNames, type Settings } from '../../export/train/recipe.js';
import { type Probed, probeImage } from '../images/probe.js';

/** What the images of a data set are: their size where all have one, and grey or colour. */
export interface Look {
  readonly size: { readonly height: number; readonly width: number } | undefined;
  readonly channels: 1 | 3;
}

/** Files that are looked at, spread over the data set. */
const LOOKED_AT = 50;

/** Looks at the pixels, or at the headers of some files. */
export async function lookAt(content: Content): Promise<Look> {
  if (content.kind === 'pixels') {
    const { height, width, channels } = content.images;
    return { size: { height, width }, channels: channels as 1 | 3 };
  }
  const { files } = content;
  const step = Math.max(1, Math.floor(files.length / LOOKED_AT));
  const looks: Probed[] = [];
  for (let n = 0; n < files.length; n += step) {
    const look = await bytesAt(files[n]!.place).then(probeImage, () => undefined);
    if (look) looks.push(look);
  }
  const [first] = looks;
  const same = first && looks.every(({ height, width }) => height === first.height && width === first.width);
  return {
    size: same ? { height: first.height, width: first.width } : undefined,
    channels: looks.length > 0 && looks.every(({ channels }) => channels === 1) ? 1 : 3,
  };
}

async function bytesAt({ path, from = 0, length }: Place): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const bytes = new Uint8Array(length ?? (await file.stat()).size);
    await file.read(bytes, 0, bytes.length, from);
    return bytes;
  } finally {
    await file.close();
  }
}

/** The recipe for data where none is named: that of their name, else one for images as grey or as colourful. */
export function usualRecipe({ name }: Dataset, { channels }: Look): string {
  if (recipeNames.includes(name)) return name;
  return channels === 3 && recipeNames.includes('cifar-10') ? 'cifar-10' : DEFAULT_RECIPE;
}

/** Image files of one size at most so many times the network's are taken as they are; larger ones are scaled down. */
const NEAR = 2;

/**
 * The network with the classes and the input of the data: pixels have their size, and image files the network's, or their own if
 * all have one that is near it.
 * @throws DatasetError when the network cannot take such images
 */
export function networkFor(
  network: NamedNetwork,
  dataset: Dataset,
  kind: Content['kind'],
  { size, channels }: Look,
): NamedNetwork {
  const input = network.config.input as InputConfig;
  const near = size && size.height <= NEAR * input.height && size.width <= NEAR * input.width;
  const { height, width } = size && (kind === 'pixels' || near) ? size : input;
  return fitNetwork(network, { classes: dataset.labels.length, height, width, channels });
}

/** Images of data of one's own that are set aside to validate on where the recipe sets none aside. */
const VALIDATION = 2000;

/**
 * The settings of a recipe that was not made for these data: some images are set aside to validate on, at most a tenth, and a
 * batch is at most an eighth of the rest, so that there are steps.
 */
export function settingsFor(settings: Settings, images: number): Settings {
  const validation = Math.min(settings.validation || VALIDATION, Math.floor(images / 10));
  const batch = Math.max(2, Math.min(settings.batch, Math.floor((images - validation) / 8)));
  return { ...settings, validation, batch };
}

/** What was changed of a network, in words; empty when nothing was. */
export function changesOf(before: NamedNetwork, after: NamedNetwork): string {
  const [from, to] = [before.config.input, after.config.input] as [InputConfig, InputConfig];
  const size = ({ height, width, channels }: InputConfig) => `${height} × ${width} × ${channels}`;
  return [
    ...(before.config.classes === after.config.classes ? [] : [`${after.config.classes} classes`]),
    ...(size(from) === size(to)
      ? []
      : [`an input of ${size(to)}${to.padding > 0 ? ` with ${to.padding} of black around it` : ''}`]),
  ].join(' and ');
}

/** How pictures are prepared for a network that is trained on these data. */
export function preprocessingFor({ preprocessing }: Dataset, before: NamedNetwork, after: NamedNetwork): Preprocessing {
  if (preprocessing) return preprocessing;
  const own = configurations[before.name]?.preprocessing;
  const [from, to] = [before.config.input, after.config.input] as [InputConfig, InputConfig];
  const same = from.height === to.height && from.width === to.width;
  return same && own?.fit === 'cover' ? { ...own, polarity: 'any' } : { fit: 'cover', polarity: 'any' };
}

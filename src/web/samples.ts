/** A picture that comes with the page. */
export interface Sample {
  readonly name: string;
  readonly channels: 1 | 3;
  readonly url: string;
}

const urls = import.meta.glob<string>('./samples/*', { eager: true, query: '?url', import: 'default' });
const nameOf = (path: string): string => /([^/]+)\.\w+$/.exec(path)![1]!;
const ORDER = ['sneaker', 'ankle-boot', 'bag', 't-shirt', 'trouser', 'sandal', 'cat', 'coffee'];

export const samples: readonly Sample[] = Object.entries(urls)
  .map(([path, url]) => ({ name: nameOf(path), channels: path.endsWith('.jpg') ? (3 as const) : (1 as const), url }))
  .sort((a, b) => ORDER.indexOf(a.name) - ORDER.indexOf(b.name));

/** Those that suit a model: grey things for grey models, photographs for those in colour. */
export const samplesFor = (channels: number): readonly Sample[] => samples.filter((s) => s.channels === channels);

export async function load({ url, name }: Sample, signal?: AbortSignal): Promise<File> {
  const response = await fetch(url, { signal: signal ?? null });
  return new File([await response.blob()], name);
}

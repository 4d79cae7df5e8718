/** What folders and files of a part are called by the usual programs. */
const NAMES = {
  train: /^train(ing)?$/i,
  test: /^test(ing)?$/i,
  validation: /^(val|valid|validation|dev)$/i,
} as const;
export type PartWord = keyof typeof NAMES;

/** The part that a word names, if any. */
export const partNamed = (word: string): PartWord | undefined =>
  (Object.keys(NAMES) as PartWord[]).find((part) => NAMES[part].test(word));

/** The part that the name of a file or one of its folders begins with, such as data/train-00000-of-00002.parquet. */
export function partInPath(name: string): PartWord | undefined {
  for (const word of name.split('/').reverse()) {
    const part = partNamed(/^[a-z]+/i.exec(word)?.[0] ?? '');
    if (part) return part;
  }
  return undefined;
}

/** Which part is test data where there are several: test, else validation. */
export function testPart(found: ReadonlySet<PartWord>): 'test' | 'validation' | undefined {
  if (found.has('test')) return 'test';
  return found.has('validation') ? 'validation' : undefined;
}

/** What is left aside of three parts. */
export const leftAside = (found: ReadonlySet<PartWord>): string[] =>
  found.has('test') && found.has('validation')
    ? ['The test part is used as test data; the validation part is left aside, because runs set their own aside']
    : [];

/**
 * What becomes of items, in their order. At most so many are under way or wait to be taken, so a chain of these overlaps
 * its stages in bounded memory. Whatever fails ends it, once all that is under way has ended.
 */
export async function* mapOrdered<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  run: (item: T) => R | Promise<R>,
): AsyncGenerator<R> {
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const underWay: Promise<{ value: R } | undefined>[] = [];
  const start = () => {
    const begun = Promise.resolve(source.next()).then(async ({ done, value }) =>
      done ? undefined : { value: await run(value) },
    );
    // Whoever takes it learns of it; until then it must not count as unheard.
    begun.catch(() => undefined);
    underWay.push(begun);
  };
  try {
    for (let i = 0; i < limit; i++) start();
    for (let first = underWay.shift(); first; first = underWay.shift()) {
      const result = await first;
      if (!result) return;
      start();
      yield result.value;
    }
  } finally {
    await Promise.allSettled(underWay);
    await source.return?.();
  }
}

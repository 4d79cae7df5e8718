/**
 * Runs a function on every item and yields the results in the order of the items. At most `limit` items are being processed or
 * wait to be taken, so a chain of these overlaps its stages in bounded memory. The first error ends the iteration, after
 * everything that had started has ended.
 */
export async function* mapOrdered<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  run: (item: T) => R | Promise<R>,
): AsyncGenerator<R> {
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const started: Promise<{ value: R } | undefined>[] = [];
  const start = () => {
    const result = Promise.resolve(source.next()).then(async ({ done, value }) =>
      done ? undefined : { value: await run(value) },
    );
    // The loop below awaits this promise and throws its error. Until then Node.js must not report an unhandled rejection.
    result.catch(() => undefined);
    started.push(result);
  };
  try {
    for (let i = 0; i < limit; i++) start();
    for (let first = started.shift(); first; first = started.shift()) {
      const result = await first;
      if (!result) return;
      start();
      yield result.value;
    }
  } finally {
    await Promise.allSettled(started);
    await source.return?.();
  }
}

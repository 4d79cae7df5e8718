import { constants, type NodeGCPerformanceDetail, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/**
 * Bytes of the heap's old generation at which all garbage is collected. Some 36 MB are alive when the service has warmed up,
 * and more in the hours in which V8 compiles what is used now and then: below half of this, it takes no more memory for that.
 */
const FULL = 84e6;
/**
 * How far the heap grows at least beyond what is alive before all garbage is collected again, in percent. With 30, every
 * second arrival of 500 slow clients sets a collection off; with 100 one of eight does, for 10 to 15 MB.
 */
const GROWTH = 100;
/**
 * The same where collections are put off, for some 20 MB. Under ten times the load that the service can take, 99 of 100
 * refusals came within 116, 99 and 76 ms with 30, 100 and 200 (means of five runs).
 */
const PUT_OFF = 200;

let least = GROWTH;
/** Bytes that the last full collection left. */
let alive = FULL;

/**
 * Has all garbage collected when the heap is full, but not before it has doubled nor after it has tripled. V8 alone reckons the
 * growth from its speed of late, up to fourfold, so that memory would follow the history of the load.
 */
export function boundHeap(): void {
  bound();
  new PerformanceObserver((list) => {
    if (!list.getEntries().some(isMajor)) return;
    alive = oldGeneration();
    bound();
  }).observe({ entryTypes: ['gc'] });
}

let usual: NodeJS.Timeout | undefined;

/**
 * For some seconds lets more garbage lie about. A collection takes time from all who wait, and where too many want to come in
 * it leaves hundreds behind. V8 looks at it when it has collected, so both begin and end with the collection that follows.
 */
export function putOffCollections(seconds = 5): void {
  const letGrow = (percent: number) => {
    least = percent;
    bound();
  };
  clearTimeout(usual);
  letGrow(PUT_OFF);
  usual = setTimeout(() => letGrow(GROWTH), seconds * 1000).unref();
}

const bound = (): void => setGrowth(Math.max(least, Math.min(PUT_OFF, 100 * (FULL / alive - 1))));

/** Lets the heap of this process and its threads grow so far, in percent. `node --v8-options` lists the flag. */
export const setGrowth = (percent: number): void => setFlagsFromString(`--heap-growing-percent=${Math.round(percent)}`);

const isMajor = (collection: PerformanceEntry): boolean =>
  (collection as Collection).detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;

/** What @types/node leaves out of an entry of type gc. */
type Collection = PerformanceEntry & { readonly detail: NodeGCPerformanceDetail };

/** Bytes in use outside of what is young, and of what V8 never collects. */
const oldGeneration = (): number =>
  getHeapSpaceStatistics()
    .filter(({ space_name: name }) => !/^(new|read_only)_/.test(name))
    .reduce((sum, { space_used_size: used }) => sum + used, 0);

import { setFlagsFromString } from 'node:v8';

/**
 * How far V8's heap grows beyond what is alive before all garbage is collected, in percent. With 30, every second arrival of
 * 500 slow clients sets a collection off; with 100 one of eight does, for 10 to 15 MB.
 */
const GROWTH = 100;
/**
 * The same where collections are put off, for some 60 MB. Under ten times the load that the service can take, 99 of 100
 * refusals came within 116, 99 and 76 ms with 30, 100 and 200 (means of five runs).
 */
const PUT_OFF = 200;

/**
 * Bounds the heap of this process and its threads. V8 alone reckons the growth from its speed of late, up to fourfold, so
 * that memory would follow the history of the load. `node --v8-options` lists the flag.
 */
export const boundHeap = (percent = GROWTH): void => setFlagsFromString(`--heap-growing-percent=${percent}`);

let usual: NodeJS.Timeout | undefined;

/**
 * For some seconds lets more garbage lie about. A collection takes time from all who wait, and where too many want to come in
 * it leaves hundreds behind. V8 looks at it when it has collected, so both begin and end with the collection that follows.
 */
export function putOffCollections(seconds = 5): void {
  clearTimeout(usual);
  boundHeap(PUT_OFF);
  usual = setTimeout(boundHeap, seconds * 1000).unref();
}

import { setFlagsFromString } from 'node:v8';

/**
 * How far V8's heap grows beyond what is alive before all garbage is collected, in percent. It is what V8 itself arrives at
 * under steady load.
 */
const GROWTH = 30;

/**
 * Bounds the heap of this process and its threads. V8 alone reckons the growth from its speed of late, up to fourfold, so
 * that memory would follow the history of the load. `node --v8-options` lists the flag.
 */
export const boundHeap = (): void => setFlagsFromString(`--heap-growing-percent=${GROWTH}`);

import { setFlagsFromString } from 'node:v8';

/**
 * How far V8's heap grows beyond what is alive before all garbage is collected, in percent. It is what V8 itself arrives at
 * under steady load.
 */
const GROWTH = 30;

/**
 * Bounds the heap of this process and its threads. V8 lets a heap grow up to fourfold where it takes collections to be dear
 * compared with what is allocated, and takes them so anew at each change of load: memory that says nothing of a service's need.
 * `node --v8-options` lists the flag.
 */
export const boundHeap = (): void => setFlagsFromString(`--heap-growing-percent=${GROWTH}`);

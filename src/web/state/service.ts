import { type Client, connect } from '../../client/index.js';

/** The key that the visitor typed, kept until the tab is closed. */
const KEY = 'irevnet-key';

/** Milliseconds that a stage of a reply took, as its Server-Timing says. */
export type Timing = Readonly<Record<string, number>>;

let lastTiming: Timing = {};
/** The stages of the reply that came last. */
export const timing = (): Timing => lastTiming;

const timed: typeof fetch = async (...request) => {
  const response = await fetch(...request);
  const stages = (response.headers.get('server-timing') ?? '').matchAll(/([\w-]+);dur=([\d.]+)/g);
  lastTiming = Object.fromEntries(Array.from(stages, ([, name, ms]) => [name!, Number(ms)]));
  return response;
};

const open = (): Client =>
  connect(new URL('.', location.href), { apiKey: sessionStorage.getItem(KEY) ?? undefined, fetch: timed });

let client = open();
/** The service that served this page. */
export const service = (): Client => client;

/** Takes the key for all requests from now on. */
export function useKey(key: string): void {
  sessionStorage.setItem(KEY, key);
  client = open();
}

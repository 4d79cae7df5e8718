import { useEffect, useState } from 'preact/hooks';

/** Where one is: the view and its settings, from an address such as `#/interpolate?a=bag&t=0.5`. */
export interface Route {
  readonly view: string;
  readonly settings: Readonly<Record<string, string>>;
}

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  return { view: path || 'try', settings: Object.fromEntries(new URLSearchParams(query)) };
}

export function addressOf({ view, settings }: Route): string {
  const query = new URLSearchParams(Object.entries(settings).filter(([, value]) => value !== '')).toString();
  return `#/${view}${query && `?${query}`}`;
}

/** The address. That of the browser follows within a moment: browsers refuse hundreds of changes in a few seconds. */
let address = location.hash;
const DELAY = 150;
let pending: ReturnType<typeof setTimeout> | undefined;
const followers = new Set<() => void>();
function tell(): void {
  for (const follow of followers) follow();
}

addEventListener('hashchange', () => {
  clearTimeout(pending);
  pending = undefined;
  address = location.hash;
  tell();
});

/** Changes settings in the address, without a step in the history: the state of a view, but never an upload, is in it. */
export function change(settings: Readonly<Record<string, string>>): void {
  const route = parseRoute(address);
  address = addressOf({ ...route, settings: { ...route.settings, ...settings } });
  pending ??= setTimeout(() => {
    pending = undefined;
    history.replaceState(null, '', address);
  }, DELAY);
  tell();
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(address));
  useEffect(() => {
    const follow = () => setRoute(parseRoute(address));
    followers.add(follow);
    return () => void followers.delete(follow);
  }, []);
  return route;
}

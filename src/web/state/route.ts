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

/** Changes settings in the address, without a step in the history: the state of a view, but never an upload, is in it. */
export function change(settings: Readonly<Record<string, string>>): void {
  const route = parseRoute(location.hash);
  history.replaceState(null, '', addressOf({ ...route, settings: { ...route.settings, ...settings } }));
  dispatchEvent(new HashChangeEvent('hashchange'));
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const follow = () => setRoute(parseRoute(location.hash));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return route;
}

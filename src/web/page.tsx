import type { FunctionComponent } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Model } from '../client/index.js';
import { short } from './arrays.js';
import { Trouble } from './parts/trouble.js';
import { addressOf, change, useRoute } from './state/route.js';
import { service } from './state/service.js';
import { useTask } from './state/task.js';
import type { ViewProps } from './view.js';
import { Analyses } from './views/analyses.js';
import { Explore } from './views/explore.js';
import { Interpolate } from './views/interpolate.js';
import { Models } from './views/models.js';
import { Try } from './views/try.js';

/** Every view, in the order of the menu. */
const views: Readonly<Record<string, { readonly title: string; readonly view: FunctionComponent<ViewProps> }>> = {
  try: { title: 'Try', view: Try },
  interpolate: { title: 'Interpolate', view: Interpolate },
  explore: { title: 'Explore', view: Explore },
  analyses: { title: 'Analyses', view: Analyses },
  models: { title: 'Models', view: Models },
};

export function Page() {
  const { view: name, settings } = useRoute();
  const task = useTask((signal) => service().models({ signal }), []);
  const { title, view: View } = views[name] ?? views.try!;
  useEffect(() => {
    document.title = `irevnet · ${title}`;
  }, [title]);
  const models = task.value?.models ?? [];
  const model = models.find((m) => m.name === (settings.model ?? task.value?.default)) ?? models[0];
  return (
    <>
      <Header current={name in views ? name : 'try'} settings={settings} models={models} model={model} />
      <main>
        <Trouble error={task.error} again={task.again} />
        {model && <View key={model.name} model={model} models={models} settings={settings} />}
      </main>
    </>
  );
}

interface HeaderProps {
  readonly current: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly models: readonly Model[];
  readonly model: Model | undefined;
}

function Header({ current, settings, models, model }: HeaderProps) {
  const kept: Record<string, string> = settings.model ? { model: settings.model } : {};
  return (
    <header>
      <b>irevnet</b>
      <nav aria-label="views">
        {Object.entries(views).map(([view, { title }]) => (
          <a
            key={view}
            href={addressOf({ view, settings: kept })}
            {...(view === current && { 'aria-current': 'page' as const })}
          >
            {title}
          </a>
        ))}
        <a href="docs">API</a>
      </nav>
      <small>
        {model && models.length > 1 && (
          <select
            aria-label="model"
            value={model.name}
            onChange={(event) => change({ model: event.currentTarget.value, sample: '', a: '', b: '' })}
          >
            {models.map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        )}
        {model && (models.length > 1 ? '' : `${model.name} · `)}
        {model && `${short(model.architecture.parameters)} parameters`}
      </small>
    </header>
  );
}

import { change } from '../state/route.js';
import type { ViewProps } from '../view.js';
import { Grid } from './grid.js';
import { Line } from './line.js';

const shapes = { line: 'A line between two', grid: 'A grid between four' } as const;

/** Images between pictures: on the line between two, or in the grid between four. */
export function Interpolate(props: ViewProps) {
  const chosen = props.settings.shape === 'grid' ? 'grid' : 'line';
  return (
    <>
      <fieldset class="shapes">
        <legend class="hidden">shape</legend>
        {Object.entries(shapes).map(([shape, title]) => (
          <button
            key={shape}
            type="button"
            aria-pressed={shape === chosen}
            onClick={() => change({ shape: shape === 'line' ? '' : shape })}
          >
            {title}
          </button>
        ))}
      </fieldset>
      {chosen === 'grid' ? <Grid {...props} /> : <Line {...props} />}
    </>
  );
}

import type { Model } from '../../client/index.js';
import type { Chosen } from '../state/picture.js';
import { Chooser } from './chooser.js';

/** Several pictures to choose, each with its name; what is pasted becomes the first. */
export function Choices({ model, of }: { readonly model: Model; readonly of: readonly (readonly [string, Chosen])[] }) {
  return (
    <div class="two">
      {of.map(([label, { sample, onSample, onFile }], i) => (
        <div key={label}>
          <h2>{label}</h2>
          <Chooser
            channels={model.input.channels}
            chosen={sample?.name}
            label={label}
            pasted={i === 0}
            brief
            onSample={onSample}
            onFile={onFile}
          />
        </div>
      ))}
    </div>
  );
}

import type { Classification } from '../../client/index.js';
import { percent } from '../arrays.js';

type Top = Classification['predictions'][number]['top'];

/** Classes with their probabilities, the most probable first. */
export function Bars({ top }: { readonly top: Top }) {
  return (
    <ol class="bars">
      {top.map(({ index, label, probability }) => (
        <li key={index}>
          <span>{label}</span>
          <i aria-hidden="true" style={{ width: percent(probability) }} />
          <span class="number">{percent(probability)}</span>
        </li>
      ))}
    </ol>
  );
}

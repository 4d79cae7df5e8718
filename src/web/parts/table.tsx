import type { ComponentChildren } from 'preact';

interface Props {
  /** What a screen reader calls it. */
  readonly label: string;
  readonly columns: readonly string[];
  /** Rows of cells; the first cell of a row names it. */
  readonly rows: readonly (readonly ComponentChildren[])[];
}

/** A table that scrolls sideways where it is wider than the page, by keyboard too. */
export function Table({ label, columns, rows }: Props) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
    <section class="wide" tabIndex={0} aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, ...cells], i) => (
            <tr key={`${i}`}>
              <th scope="row">{name}</th>
              {cells.map((cell, j) => (
                <td key={`${j}`}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

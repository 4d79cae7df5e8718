/** Where the time of a few calls went: a bar of parts, in milliseconds. */
export function TimeBar({ parts }: { readonly parts: readonly (readonly [string, number])[] }) {
  const total = parts.reduce((sum, [, ms]) => sum + ms, 0) || 1;
  return (
    <>
      <div class="time" aria-hidden="true">
        {parts.map(([name, ms]) => (
          <i key={name} style={{ width: `${(100 * ms) / total}%` }} />
        ))}
      </div>
      <ul class="legend">
        {parts.map(([name, ms]) => (
          <li key={name}>
            <i aria-hidden="true" /> {name} <b>{ms.toFixed(1)}</b> ms
          </li>
        ))}
      </ul>
    </>
  );
}

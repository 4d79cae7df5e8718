import { useState } from 'preact/hooks';
import { ServiceError } from '../../client/index.js';
import { useKey } from '../state/service.js';
import { pauseAfter, type Task } from '../state/task.js';

/** What went wrong, where it happened, and what to do; the service's own sentence where it gave one. */
export function Trouble({ error, again }: Pick<Task<unknown>, 'error' | 'again'>) {
  if (error === undefined) return null;
  if (error instanceof ServiceError && error.status === 401) return <AskKey again={again} />;
  const known = error instanceof ServiceError;
  const pause = pauseAfter(error);
  return (
    <div class="trouble" role="alert">
      <b>{known ? error.detail : 'The service does not answer.'}</b>
      <span>{known ? error.code : 'It may be starting, or the network is gone.'}</span>
      {pause === undefined ? (
        <button type="button" onClick={again}>
          Try again
        </button>
      ) : (
        <span>Trying again every {Math.max(1, Math.round(pause))} s.</span>
      )}
    </div>
  );
}

/** The service wants an API key: it is kept for this tab. */
function AskKey({ again }: Pick<Task<unknown>, 'again'>) {
  const [key, setKey] = useState('');
  const submit = (event: Event) => {
    event.preventDefault();
    useKey(key.trim());
    again();
  };
  return (
    <form class="trouble" onSubmit={submit}>
      <label>
        <b>This service asks for an API key.</b>
        <input
          type="password"
          autocomplete="off"
          required
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
      </label>
      <button type="submit">Use it</button>
      <span>It is kept until this tab is closed.</span>
    </form>
  );
}

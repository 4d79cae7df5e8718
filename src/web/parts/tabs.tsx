import { useRef, useState } from 'preact/hooks';

/** The same call in several languages, to copy. */
export function Snippets({ of }: { readonly of: Readonly<Record<string, string>> }) {
  const names = Object.keys(of);
  const [chosen, choose] = useState(names[0]!);
  const [copied, setCopied] = useState(false);
  const tabs = useRef<HTMLDivElement>(null);
  const move = ({ key }: KeyboardEvent) => {
    const step = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0;
    if (step === 0) return;
    const next = (names.indexOf(chosen) + step + names.length) % names.length;
    choose(names[next]!);
    (tabs.current!.children[next] as HTMLElement).focus();
  };
  const copy = async () => {
    await navigator.clipboard.writeText(of[chosen]!);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <div class="snippets">
      <div class="tabs" role="tablist" aria-label="the same call" ref={tabs} onKeyDown={move}>
        {names.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={name === chosen}
            aria-controls="snippet"
            tabIndex={name === chosen ? 0 : -1}
            onClick={() => choose(name)}
          >
            {name}
          </button>
        ))}
      </div>
      <pre id="snippet" role="tabpanel" aria-labelledby={`tab-${chosen}`}>
        {of[chosen]}
      </pre>
      <button type="button" class="quiet" onClick={copy}>
        {copied ? 'Copied' : 'Copy'}
      </button>
    </div>
  );
}

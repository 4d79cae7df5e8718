import { useEffect, useRef, useState } from 'preact/hooks';
import { words } from '../arrays.js';
import { type Sample, samplesFor } from '../samples.js';

interface Props {
  readonly channels: number;
  /** The name of the chosen sample, if one is chosen. */
  readonly chosen: string | undefined;
  readonly label: string;
  /** Whether what is pasted on the page comes here: for one chooser of a view. */
  readonly pasted?: boolean;
  /** Where several stand beside one another. */
  readonly brief?: boolean;
  onSample(sample: Sample): void;
  onFile(file: File): void;
}

/** Samples to click, and a place to drop, paste, choose or photograph a picture. */
export function Chooser({ channels, chosen, label, pasted = true, brief = false, onSample, onFile }: Props) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const take = (files: FileList | undefined | null) => {
    const file = files?.[0];
    if (file) onFile(file);
  };
  usePaste(pasted ? onFile : undefined);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer?.files);
  };
  return (
    <fieldset
      class={`chooser ${over ? 'over' : ''}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <legend class="hidden">{label}</legend>
      {samplesFor(channels).map((sample) => (
        <button
          key={sample.name}
          type="button"
          aria-pressed={sample.name === chosen}
          title={words(sample.name)}
          onClick={() => onSample(sample)}
        >
          <img src={sample.url} alt={words(sample.name)} width="44" height="44" />
        </button>
      ))}
      <button type="button" class="upload" onClick={() => input.current!.click()}>
        {pasted ? 'Drop, paste or choose' : 'Drop or choose'}
        {!brief && ' a picture'}
      </button>
      <input
        ref={input}
        type="file"
        accept="image/*"
        aria-label="a picture of your own"
        class="hidden"
        tabIndex={-1}
        onChange={(event) => {
          take(event.currentTarget.files);
          event.currentTarget.value = '';
        }}
      />
    </fieldset>
  );
}

/** Takes a picture that is pasted anywhere on the page. */
function usePaste(onFile: ((file: File) => void) | undefined): void {
  useEffect(() => {
    if (!onFile) return;
    const paste = ({ clipboardData }: ClipboardEvent) => {
      const file = [...(clipboardData?.files ?? [])].find(({ type }) => type.startsWith('image/'));
      if (file) onFile(file);
    };
    addEventListener('paste', paste);
    return () => removeEventListener('paste', paste);
  }, [onFile]);
}

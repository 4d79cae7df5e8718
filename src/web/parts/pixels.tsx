import { useEffect, useRef } from 'preact/hooks';
import { type Pixels, rgba } from '../arrays.js';

interface Props {
  /** Pixels to draw, or the address of a picture; nothing yet: an empty frame. */
  readonly of: Pixels | string | undefined;
  readonly label: string;
  readonly onPick?: (x: number, y: number) => void;
}

/** Pixels drawn as pixels: no smoothing between them. */
export function Canvas({ of, label, onPick }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (typeof of === 'object') canvas.current!.getContext('2d')!.putImageData(rgba(of), 0, 0);
  }, [of]);
  const pick = ({ offsetX, offsetY }: MouseEvent) => {
    const { clientWidth, clientHeight } = canvas.current!;
    onPick?.(offsetX / clientWidth, offsetY / clientHeight);
  };
  if (typeof of === 'string') return <img class="pixels" src={of} alt={label} />;
  return (
    <canvas
      ref={canvas}
      role="img"
      aria-label={label}
      class="pixels"
      width={of?.width ?? 1}
      height={of?.height ?? 1}
      {...(onPick && { onClick: pick })}
    />
  );
}

/** A picture in a frame, with its name below and a figure beside the name. */
export function Figure({ name, figure, ...canvas }: Props & { readonly name: string; readonly figure: string }) {
  return (
    <figure class="card">
      <Canvas {...canvas} />
      <figcaption>
        <span>{name}</span>
        <span>{figure}</span>
      </figcaption>
    </figure>
  );
}

import sharp from 'sharp';

/** What a picture is before it is decoded: its size as it is seen, and whether it is stored in colour. */
export interface Probed {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
}

/** Reads the header of an image file; undefined when it cannot be read. */
export async function probeImage(bytes: Uint8Array): Promise<Probed | undefined> {
  const metadata = await sharp(bytes)
    .metadata()
    .catch(() => undefined);
  if (!metadata) return undefined;
  const { width, height } = metadata.autoOrient;
  return { width, height, channels: metadata.space === 'b-w' || metadata.space === 'grey16' ? 1 : 3 };
}

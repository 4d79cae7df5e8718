/** Where the bytes of a file lie: in a file of their own, or in a range of another. */
export interface Place {
  readonly path: string;
  readonly from?: number;
  readonly length?: number;
}

/** An image file of a data set, by the name that messages give it. */
export interface ImageFile {
  readonly name: string;
  readonly place: Place;
}

/** The files of a folder or of an archive, or a single file. */
export interface Files {
  /** The folder, archive or file. */
  readonly path: string;
  /** Paths inside it with "/", sorted by UTF-16 code units, without hidden files. */
  readonly names: readonly string[];
  /** Folders inside it that hold neither files nor folders. */
  readonly empty: readonly string[];
  /** A name that there is not gets a place where no file is. */
  place(name: string): Place;
  /** @throws DatasetError when the file cannot be read */
  read(name: string): Promise<Uint8Array>;
  /** Writes bytes that lie in no file of their own, such as those of a table, into a temporary file. */
  keep(bytes: Uint8Array): Promise<Place>;
  /** Removes the temporary file. */
  close(): Promise<void>;
}

export const baseName = (name: string): string => name.slice(name.lastIndexOf('/') + 1);
export const folderOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('/')));

/** Whether a path has a part that is hidden, or that only archivers of macOS write. */
export const isHidden = (name: string): boolean => /(^|\/)(\.(?!\.?(\/|$))|__MACOSX(\/|$))/.test(name);

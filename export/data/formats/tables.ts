import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { parse } from 'csv-parse';
import {
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { DatasetError } from '../dataset.js';
import { baseName, type Files } from '../files/files.js';
import type { Format } from './format.js';
import { openTables, type Row, type Table } from './table.js';

/** Names of files that list classes and no images. */
const CLASS_NAMES = /^(classes|class_names)\./;

const tableFormat = (title: string, ending: RegExp, read: (files: Files, name: string) => Promise<Table>): Format => {
  const inFiles = ({ names }: Files) => names.filter((name) => ending.test(name) && !CLASS_NAMES.test(baseName(name)));
  return {
    title,
    expects: `train and test tables (or one) with an image or a path and a label in every row; ${title}`,
    recognises: (files) => inFiles(files).length > 0,
    async open(files, options) {
      const names = inFiles(files);
      if (names.length === 0) throw new DatasetError(`${files.path} has no such file; expected ${title}`);
      const tables: Table[] = [];
      for (const name of names) tables.push(await read(files, name));
      return openTables(files, tables, options);
    },
  };
};

/** Rows are gathered, so that not every one of them is awaited. */
const ROWS = 1024;

async function* gathered(rows: AsyncIterable<Row>): AsyncGenerator<Row[]> {
  let some: Row[] = [];
  for await (const row of rows) {
    if (some.push(row) < ROWS) continue;
    yield some;
    some = [];
  }
  yield some;
}

/** Bytes of a file, which may be a range of an archive. */
function stream(files: Files, name: string) {
  const { path, from = 0, length } = files.place(name);
  return createReadStream(path, length === undefined ? {} : { start: from, end: from + length - 1 });
}

export const csv = tableFormat('CSV files', /\.(csv|tsv)$/i, async (files, name) => {
  const delimiter = /\.tsv$/i.test(name) ? '\t' : ',';
  const failed = (error: Error): never => {
    throw new DatasetError(`${files.path}: ${name} is not CSV: ${error.message}`);
  };
  const rows = () =>
    stream(files, name).pipe(parse({ columns: true, bom: true, trim: true, delimiter, skip_empty_lines: true }));
  let columns: string[] = [];
  try {
    for await (const row of rows()) {
      columns = Object.keys(row);
      break;
    }
  } catch (error) {
    failed(error as Error);
  }
  return {
    name,
    columns,
    async *read() {
      try {
        yield* gathered(rows());
      } catch (error) {
        failed(error as Error);
      }
    },
  };
});

export const jsonLines = tableFormat('JSON lines', /\.(jsonl|ndjson)$/i, async (files, name) => {
  async function* rows(): AsyncGenerator<Row> {
    let number = 0;
    for await (const line of createInterface({ input: stream(files, name), crlfDelay: Number.POSITIVE_INFINITY })) {
      number++;
      if (line.trim() !== '') yield rowIn(line, `${files.path}: line ${number} of ${name}`);
    }
  }
  const first = await rows().next();
  return { name, columns: Object.keys(first.value ?? {}), read: () => gathered(rows()) };
});

function rowIn(line: string, where: string): Row {
  try {
    const row: unknown = JSON.parse(line);
    if (typeof row === 'object' && row !== null && !Array.isArray(row)) return row as Row;
  } catch {
    // The error below says what was expected.
  }
  throw new DatasetError(`${where} is no JSON object; expected one, such as {"file_name": "a.jpg", "label": "cat"}`);
}

export const parquet = tableFormat('Parquet files', /\.parquet$/i, async (files, name) => {
  const { path, from = 0, length } = files.place(name);
  const explained = async <T>(run: () => Promise<T>): Promise<T> =>
    run().catch((error: Error) => {
      throw new DatasetError(
        `${files.path}: ${name} cannot be read as Parquet (${error.message}). Copy or download it again`,
      );
    });
  const whole = await asyncBufferFromFile(path);
  const byteLength = length ?? whole.byteLength;
  const file = {
    byteLength,
    slice: (start: number, end: number = byteLength) => whole.slice(from + start, from + end),
  };
  const metadata = await explained(() => parquetMetadataAsync(file));
  return {
    name,
    columns: parquetSchema(metadata).children.map(({ element }) => element.name),
    labelNames: (column) => labelNames(metadata, column),
    // One group of rows is in memory at a time, as the file was written.
    async *read(columns) {
      let rowStart = 0;
      for (const group of metadata.row_groups) {
        const rowEnd = rowStart + Number(group.num_rows);
        const options = { file, metadata, columns: [...columns], rowStart, rowEnd, compressors, utf8: false };
        yield await explained(() => parquetReadObjects(options));
        rowStart = rowEnd;
      }
    },
  };
});

/** The names of classes in the metadata that Hugging Face's library `datasets` writes. */
function labelNames({ key_value_metadata: entries = [] }: FileMetaData, column: string): string[] | undefined {
  const text = entries.find(({ key }) => key === 'huggingface')?.value;
  try {
    const names = JSON.parse(text ?? '{}').info?.features?.[column]?.names;
    return Array.isArray(names) && names.every((name) => typeof name === 'string') ? names : undefined;
  } catch {
    return undefined;
  }
}

type Cell = string | number;

/** Rows under their names as text, numbers to the right. */
export function table(names: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [names, ...rows];
  const widths = names.map((_, i) => Math.max(...lines.map((cells) => String(cells[i]).length)));
  const aligned = (cell: Cell, i: number) =>
    typeof rows[0]?.[i] === 'number' ? String(cell).padStart(widths[i]!) : String(cell).padEnd(widths[i]!);
  return lines.map((cells) => cells.map(aligned).join('  ').trimEnd()).join('\n');
}

/** How often a kind of thing had a status. */
export interface Counts {
  add(kind: string, status: string): void;
  /** A row a kind, a column a status. */
  toString(): string;
}

export function createCounts(): Counts {
  const kinds = new Map<string, Map<string, number>>();
  return {
    add(kind, status) {
      const counts = kinds.get(kind) ?? new Map<string, number>();
      kinds.set(kind, counts.set(status, (counts.get(status) ?? 0) + 1));
    },
    toString() {
      const statuses = [...new Set([...kinds.values()].flatMap((counts) => [...counts.keys()]))].sort();
      const rows = [...kinds].sort(([a], [b]) => a.localeCompare(b));
      return table(
        ['kind', ...statuses],
        rows.map(([kind, counts]) => [kind, ...statuses.map((status) => counts.get(status) ?? 0)]),
      );
    },
  };
}

/** A string of either kind of quotes (without escapes), a whole number (`1L` is Python 2's), a truth value, or punctuation. */
const TOKEN = /\s+|[uUrR]?'[^'\\]*'|[uUrR]?"[^"\\]*"|\d+L?|True|False|[{}()[\],:]/g;

/**
 * Reads a literal of Python that has only dictionaries, lists, tuples, strings, whole numbers from 0 and truth values, as the
 * header of a .npy file does. Tuples become arrays.
 * @throws SyntaxError
 */
export function readPython(text: string): unknown {
  const all = text.match(TOKEN) ?? [];
  if (all.join('') !== text) throw new SyntaxError('this is no literal of Python, or none of those that are read');
  const tokens = all.filter((token) => token.trim() !== '');
  // JSON has no comma before a closing bracket.
  const needed = tokens.filter((token, i) => token !== ',' || !'})]'.includes(tokens[i + 1] ?? '\n'));
  return JSON.parse(needed.map(inJson).join(' '));
}

function inJson(token: string): string {
  if (token === '(') return '[';
  if (token === ')') return ']';
  if (token === 'True' || token === 'False') return token.toLowerCase();
  if (/^\d/.test(token)) return token.replace('L', '');
  const [, string] = /^[uUrR]?['"](.*)['"]$/s.exec(token) ?? [];
  return string === undefined ? token : JSON.stringify(string);
}

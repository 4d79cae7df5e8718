/** A flag's value as a number above 0. Ends the process where it is none. */
export function above0(flag: string, text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  process.stderr.write(`--${flag} is ${text}; expected a number above 0\n`);
  process.exit(2);
}

/** As `above0`, of whole numbers. */
export function wholeNumber(flag: string, text: string): number {
  const value = above0(flag, text);
  if (Number.isSafeInteger(value)) return value;
  process.stderr.write(`--${flag} is ${text}; expected a whole number\n`);
  process.exit(2);
}

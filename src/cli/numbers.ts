import { InvalidArgumentError } from 'commander';

/** Parsers of numeric flags; commander puts the flag's name before what they throw. */
export const whole =
  (minimum: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < minimum)
      throw new InvalidArgumentError(`expected a whole number of at least ${minimum}.`);
    return value;
  };

export const between =
  (minimum: number, maximum: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= minimum && value <= maximum)) {
      throw new InvalidArgumentError(`expected a number from ${minimum} to ${maximum}.`);
    }
    return value;
  };

export const positive = (text: string): number => {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('expected a number above 0.');
  return value;
};

/** A share above 0, up to all. */
export const share = (text: string): number => {
  const value = Number(text);
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError('expected a number above 0, up to 1.');
  return value;
};

/** Numbers of epochs, with commas between. */
export const epochs = (text: string): number[] => text.split(',').map(whole(1));

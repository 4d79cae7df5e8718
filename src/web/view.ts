import type { Model } from '../client/index.js';

/** What a view is given. */
export interface ViewProps {
  readonly model: Model;
  readonly models: readonly Model[];
  /** The settings in the address. */
  readonly settings: Readonly<Record<string, string>>;
}

import { ModelError } from '../../export/model/folder.js';
import { SettingsError } from './config.js';

/** The meaning of exit codes. Codes below 20 follow convention or belong to Node.js; those from 20 belong to irevnet. */
export const exitCodes = {
  done: 0,
  failure: 1,
  usage: 2,
  'models-missing': 20,
  'model-damaged': 21,
  'not-writable': 22,
  'provider-unavailable': 23,
  'backend-unreachable': 24,
  'address-in-use': 25,
  'not-permitted': 26,
  'self-test-failed': 27,
  'images-skipped': 28,
  'in-use': 29,
} as const;

export type ExitReason = keyof typeof exitCodes;

/** A failure with its own exit code. The message says what was wrong, what was expected and what to do. */
export class ExitError extends Error {
  override readonly name = 'ExitError';
  constructor(
    readonly reason: ExitReason,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Errors of the operating system with their own exit code, and the message for each. */
const systemErrors: Readonly<Record<string, { readonly reason: ExitReason; readonly words: string }>> = {
  EADDRINUSE: {
    reason: 'address-in-use',
    words: 'another process listens there; stop it, or choose another port with --port',
  },
  EACCES: { reason: 'not-permitted', words: 'this user has no permission; change the owner or the mode, or the user' },
  EPERM: { reason: 'not-permitted', words: 'this is not permitted to this user' },
  EROFS: { reason: 'not-writable', words: 'the file system is read-only; mount it writable, or name another folder' },
  EISDIR: { reason: 'not-writable', words: 'this is a folder; name a file' },
  ENOTDIR: { reason: 'not-writable', words: 'this is no folder; remove it, or choose another name' },
  ENOSPC: { reason: 'not-writable', words: 'the disk is full; make room, or name another folder' },
};

/** The exit code and the message for a failed command. */
export function explainExit(error: Error): { readonly code: number; readonly message: string } {
  const { message } = error;
  if (error instanceof SettingsError) return { code: exitCodes.usage, message };
  if (error instanceof ExitError) return { code: exitCodes[error.reason], message };
  const { code = '', path, address, port } = (error instanceof ModelError ? (error.cause ?? {}) : error) as SystemError;
  const known = Object.hasOwn(systemErrors, code) ? systemErrors[code] : undefined;
  if (error instanceof ModelError) return { code: exitCodes[known?.reason ?? error.problem], message };
  if (!known) return { code: exitCodes.failure, message };
  const where = path ?? (address && `${address}:${port}`);
  return { code: exitCodes[known.reason], message: `${where ? `${where}: ` : ''}${known.words} (${message})` };
}

interface SystemError extends NodeJS.ErrnoException {
  readonly address?: string;
  readonly port?: number;
}

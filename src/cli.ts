#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { version } from '../export/package.js';
import { classifyCommand } from './commands/classify.js';
import { decodeCommand } from './commands/decode.js';
import { encodeCommand } from './commands/encode.js';
import { evaluateCommand } from './commands/evaluate.js';
import { exportCommand } from './commands/export.js';
import { importCommand } from './commands/import.js';
import { interpolateCommand } from './commands/interpolate.js';
import { modelsCommand } from './commands/models.js';
import { serveCommand } from './commands/serve.js';
import { trainCommand } from './commands/train.js';
import { validateCommand } from './commands/validate.js';
import { SettingsError } from './config.js';

/** Every command. Adding one is a file and a line here. */
const commands: readonly Command[] = [
  serveCommand,
  trainCommand,
  evaluateCommand,
  exportCommand,
  importCommand,
  validateCommand,
  classifyCommand,
  encodeCommand,
  decodeCommand,
  interpolateCommand,
  modelsCommand,
];

const FAILURE = 1;
const USAGE = 2;

const program = new Command('irevnet')
  .description('run, invert and study i-RevNets')
  .version(version)
  .showHelpAfterError('(--help shows what there is)');
for (const command of commands) program.addCommand(command.copyInheritedSettings(program).exitOverride());
program.exitOverride();

// A reader such as `head` may close the pipe before everything is written: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(process.exitCode ?? 0);
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error as Error);
}

/** Tells what went wrong, in words and never with a stack, and gives the exit code. */
function report(error: Error): number {
  // Commander has already written its own errors, and help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
  for (const line of error.message.split('\n')) process.stderr.write(`irevnet: ${line}\n`);
  return error instanceof SettingsError ? USAGE : FAILURE;
}

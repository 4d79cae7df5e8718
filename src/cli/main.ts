#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { version } from '../../export/files/package.js';
import { exitCodes, explainExit } from '../common/exit-codes.js';

/** Every command, loaded when it is called. Adding one is a file and a line here. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.js')).serveCommand,
  health: async () => (await import('./health.js')).healthCommand,
  train: async () => (await import('./train.js')).trainCommand,
  evaluate: async () => (await import('./evaluate.js')).evaluateCommand,
  export: async () => (await import('./export.js')).exportCommand,
  import: async () => (await import('./import.js')).importCommand,
  validate: async () => (await import('./validate.js')).validateCommand,
  classify: async () => (await import('./classify.js')).classifyCommand,
  encode: async () => (await import('./encode.js')).encodeCommand,
  decode: async () => (await import('./decode.js')).decodeCommand,
  interpolate: async () => (await import('./interpolate.js')).interpolateCommand,
  batch: async () => (await import('./batch.js')).batchCommand,
  models: async () => (await import('./models.js')).modelsCommand,
};

const program = new Command('irevnet')
  .description('run, invert and study i-RevNets')
  .version(version)
  .showHelpAfterError('(--help shows what there is)');
for (const command of await called(process.argv[2])) program.addCommand(inheriting(command, program));
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

/** A command, and those below it, that behave as the whole program does. */
function inheriting(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent).exitOverride();
  for (const below of command.commands) inheriting(below as Command, command);
  return command;
}

/** The command of this name; all of them when there is none, for help. */
function called(name: string | undefined): Promise<Command[]> {
  const one = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  return Promise.all((one ? [one] : Object.values(commands)).map((load) => load()));
}

/** Tells what went wrong, in words and never with a stack, and gives the exit code. */
function report(error: Error): number {
  // Commander has already written its own errors, and help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  const { code, message } = explainExit(error);
  for (const line of message.split('\n')) process.stderr.write(`irevnet: ${line}\n`);
  return code;
}

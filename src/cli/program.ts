import { Command, CommanderError } from 'commander';
import { version } from '../../export/files/package.js';
import { exitCodes, explainExit } from '../common/exit-codes.js';

/** Every command, loaded when it is called. Adding one is a file and a line here. */
export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.js')).serveCommand,
  health: async () => (await import('./health.js')).healthCommand,
  train: async () => (await import('./train.js')).trainCommand,
  evaluate: async () => (await import('./evaluate.js')).evaluateCommand,
  analyze: async () => (await import('./analyze.js')).analyzeCommand,
  report: async () => (await import('./report.js')).reportCommand,
  export: async () => (await import('./export.js')).exportCommand,
  import: async () => (await import('./import.js')).importCommand,
  validate: async () => (await import('./validate.js')).validateCommand,
  classify: async () => (await import('./classify.js')).classifyCommand,
  encode: async () => (await import('./encode.js')).encodeCommand,
  decode: async () => (await import('./decode.js')).decodeCommand,
  interpolate: async () => (await import('./interpolate.js')).interpolateCommand,
  reconstruct: async () => (await import('./reconstruct.js')).reconstructCommand,
  batch: async () => (await import('./batch.js')).batchCommand,
  models: async () => (await import('./models.js')).modelsCommand,
};

/** Where help and errors are written. */
export interface Output {
  writeOut(text: string): void;
  writeErr(text: string): void;
}

/**
 * Runs the command line. A command writes its results to the standard output itself.
 * @param args without those of Node.js: the command and its own
 * @returns the exit code; a command may also set `process.exitCode`
 */
export async function run(args: readonly string[], output: Output): Promise<number> {
  const program = new Command('irevnet')
    .description('run, invert and study i-RevNets')
    .version(version)
    .showHelpAfterError('(--help shows what there is)')
    .configureOutput(output)
    .exitOverride();
  for (const command of await called(args[0])) program.addCommand(inheriting(command, program));
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCodes.done;
  } catch (error) {
    // Commander has already written its own errors, and help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    const { code, message } = explainExit(error as Error);
    for (const line of message.split('\n')) output.writeErr(`irevnet: ${line}\n`);
    return code;
  }
}

/** Gives a command, and those below it, the settings of the program. */
function inheriting(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent).exitOverride();
  for (const below of command.commands) inheriting(below as Command, command);
  return command;
}

/** Loads the command of this name; all of them when there is none, for help. */
function called(name: string | undefined): Promise<Command[]> {
  const one = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  return Promise.all((one ? [one] : Object.values(commands)).map((load) => load()));
}

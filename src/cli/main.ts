#!/usr/bin/env node
import { explainExit } from '../common/exit-codes.js';
import { run } from './program.js';

// A reader such as `head` may close the pipe before everything is written: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
  const { code, message } = explainExit(error);
  process.stderr.write(`irevnet: the standard output: ${message}\n`);
  process.exit(code);
});
// What cannot be told there cannot be told anywhere; the exit code remains.
process.stderr.on('error', () => undefined);

const code = await run(process.argv.slice(2), {
  writeOut: (text) => process.stdout.write(text),
  writeErr: (text) => process.stderr.write(text),
});
// Some commands set the exit code themselves.
if (code !== 0) process.exitCode = code;

import ts from 'typescript';
import { packagePath } from '../../export/files/package.js';

export interface Diagnostic {
  /** Counted from 0. */
  readonly line: number;
  readonly text: string;
}

const options: ts.CompilerOptions = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: ['node'],
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2022.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
};

/**
 * What the TypeScript compiler reports for a source text that need not be a file.
 * @param path where the text would lie, from the root of the package: its imports are resolved from there
 */
export function diagnosticsOf(source: string, ...path: string[]): Diagnostic[] {
  const name = packagePath(...path);
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (file) => file === name || fileExists(file);
  host.getSourceFile = (file, target, ...rest) =>
    file === name ? ts.createSourceFile(file, source, target) : getSourceFile(file, target, ...rest);
  const program = ts.createProgram([name], options, host);
  const own = program.getSourceFile(name);
  return [...program.getSyntacticDiagnostics(own), ...program.getSemanticDiagnostics(own)].map(
    ({ file, start, messageText }) => ({
      line: file?.getLineAndCharacterOfPosition(start!).line ?? 0,
      text: ts.flattenDiagnosticMessageText(messageText, ' '),
    }),
  );
}

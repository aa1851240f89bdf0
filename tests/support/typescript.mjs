// Compiles programs that use our packages, with TypeScript 5.

import { dirname } from "node:path";

import ts from "typescript";

/**
 * What is wrong in a program of one file, and in the declarations of our packages that it imports, as text. Those of other packages and
 * of the language are used without being checked themselves, which would take most of the time.
 */
export function problemsOf(file, compilerOptions) {
  const folder = dirname(file);
  const { options, errors } = ts.convertCompilerOptionsFromJson(compilerOptions, folder);
  const program = ts.createProgram([file], options);
  const ours = program.getSourceFiles().filter(({ fileName }) => fileName.includes("/@portcullis/"));
  if (ours.length === 0) throw new Error("the program imports none of our packages");
  const found = [...errors, ...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics()];
  for (const source of [program.getSourceFile(file), ...ours])
    found.push(...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source));
  return ts.formatDiagnostics(found, {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => folder,
    getNewLine: () => "\n",
  });
}

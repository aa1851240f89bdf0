// Compiles programs that use our packages, with TypeScript 5.

import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import ts from "typescript";

import { capture, path } from "../../scripts/lib.mjs";
import { cached } from "./cached.mjs";

/** Runs a program of the tests in a folder, so that it does not find the settings and types of this project. */
export const tool = (name, args, cwd = tmpdir()) => capture(path("tests", "node_modules", ".bin", name), args, { cwd });

/** A folder with document.ts, the types that openapi-typescript makes of the OpenAPI document. */
export const typesOfDocument = () =>
  cached("openapi-types", ["web/openapi.json"], async (folder) => {
    const made = await tool("openapi-typescript", [path("web", "openapi.json"), "-o", join(folder, "document.ts")]);
    assert.equal(made.code, 0, made.stderr);
  });

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

// Failures that a command expects, and its exit codes: 0 if it is done, 1 if it was refused or failed, 2 if its arguments are
// invalid, and 128 plus the number of the signal that ended it.

/** An expected failure. Its message is shown without a stack trace. */
export class Failure extends Error {
  exitCode = 1;
  /** The usage of the command, if it was misused. */
  usage;
}

/** @returns {never} */
export function fail(message) {
  throw new Failure(message);
}

/**
 * Fails because of invalid arguments. The forms of the usage are shown, without their description.
 * @param {string} problem
 * @param {string} [usage]
 * @returns {never}
 */
export function misused(problem, usage) {
  throw Object.assign(new Failure(problem), { exitCode: 2, usage });
}

/** Prints why a command failed, and sets the exit code. */
export function report(error, usage) {
  const isMisuse = error instanceof Failure && error.exitCode === 2;
  const [forms] = (error.usage ?? usage ?? "").split("\n\n");
  const hint = isMisuse && forms ? `\nusage: ${forms}` : "";
  console.error(error instanceof Failure ? `\nerror: ${error.message}${hint}` : error);
  process.exitCode = error.exitCode ?? 1;
}

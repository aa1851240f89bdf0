// JavaScript that runs before the build (`prelude` of `startWorker`).

/** The factor by which time runs faster. */
const HASTE = 20;

/** The clock runs faster, and all waits of the Worker, which are seconds, are shorter by the same factor. */
export const IMPATIENT = `
  const real = { wait: setTimeout, now: Date.now, began: undefined };
  globalThis.setTimeout = (act, milliseconds) => real.wait(act, milliseconds / ${HASTE});
  // There is no clock before the first request.
  Date.now = () => (real.began ??= real.now()) + ${HASTE} * (real.now() - real.began);
`;

/** The clock is the real one, but a wait ends early, and the clock then jumps to the time at which it was due. */
export const SKIPPING = `
  const real = { wait: setTimeout, now: Date.now };
  let ahead = 0;
  Date.now = () => real.now() + ahead;
  globalThis.setTimeout = (act, milliseconds) => {
    const due = Date.now() + milliseconds;
    const end = () => {
      ahead = Math.max(ahead, due - real.now());
      act();
    };
    return real.wait(end, milliseconds / ${HASTE});
  };
`;

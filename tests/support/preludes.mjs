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

/** The longest pause of the Worker, in milliseconds. What waits longer is a time limit. */
const LONGEST_PAUSE = 5000;

/** The clock is the real one, but a pause ends early, and the clock then jumps to the time at which it was due. Time limits stay. */
export const WITHOUT_PAUSES = `
  const real = { wait: setTimeout, now: Date.now };
  let ahead = 0;
  const clock = () => real.now() + ahead;
  Date.now = clock;
  globalThis.setTimeout = (act, milliseconds) => {
    if (milliseconds > ${LONGEST_PAUSE}) return real.wait(act, milliseconds);
    const due = clock() + milliseconds;
    const end = () => {
      ahead = Math.max(ahead, due - real.now());
      act();
    };
    return real.wait(end, milliseconds / ${HASTE});
  };
`;

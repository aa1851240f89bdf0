// JavaScript that runs before the build (`prelude` of `startWorker`).

/** The factor by which time runs faster. */
const HASTE = 20;

/** The clock runs faster, and all timers of the Worker are shorter by the same factor. */
export const IMPATIENT = `
  const real = { wait: setTimeout, now: Date.now, began: undefined };
  globalThis.setTimeout = (act, milliseconds) => real.wait(act, milliseconds / ${HASTE});
  // The clock does not run before the first request.
  Date.now = () => (real.began ??= real.now()) + ${HASTE} * (real.now() - real.began);
`;

/** The longest pause of the Worker, in milliseconds. A longer timer is a time limit. */
const LONGEST_PAUSE = 5000;

/** Each pause ends early, and the clock then jumps to the time at which it was due. Time limits are unchanged. */
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

/** The clock stands still from the first request on, and moves only by `worker.advance`. */
export const STOPPED = `
  const now = Date.now;
  let began;
  Date.now = () => (began ??= now());
`;

// Clocks of a Worker (`clock` of `startWorker`), each a function of the machine's clock and timers, `now` and `wait`, that returns
// what replaces them. They run in workerd.

/** The names of the clocks. */
export const IMPATIENT = "impatient";
export const WITHOUT_PAUSES = "withoutPauses";
export const STOPPED = "stopped";

/** The factor by which time runs faster. */
const HASTE = 20;

/** The clock runs faster, and all timers of the Worker are shorter by the same factor. */
function impatient({ now, wait }) {
  let began;
  return {
    // The clock does not run before the first request.
    now() {
      began ??= now();
      return began + HASTE * (now() - began);
    },
    wait: (act, milliseconds) => wait(act, milliseconds / HASTE),
  };
}

/** The longest pause of the Worker, in milliseconds. A longer timer is a time limit. */
const LONGEST_PAUSE = 5000;

/** Each pause ends early, and the clock then jumps to the time at which it was due. Time limits are unchanged. */
function withoutPauses({ now, wait }) {
  let ahead = 0;
  const clock = () => now() + ahead;
  return {
    now: clock,
    wait(act, milliseconds) {
      if (milliseconds > LONGEST_PAUSE) return wait(act, milliseconds);
      const due = clock() + milliseconds;
      const end = () => {
        ahead = Math.max(ahead, due - now());
        act();
      };
      return wait(end, milliseconds / HASTE);
    },
  };
}

/** The clock stands still from the first request on, and moves only by `worker.advance`. */
function stopped({ now }) {
  let began;
  return {
    now() {
      began ??= now();
      return began;
    },
  };
}

/** The clocks by name. */
export const CLOCKS = { impatient, withoutPauses, stopped };

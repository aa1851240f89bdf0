// JavaScript that runs before what was built (`prelude` of `startWorker`).

/** How many times as fast the time passes for an impatient Worker. */
const HASTE = 20;
/** The time passes faster: the waits of the Worker, which are seconds, are as much shorter. */
export const IMPATIENT = `
  const real = { wait: setTimeout, now: Date.now, began: undefined };
  globalThis.setTimeout = (act, milliseconds) => real.wait(act, milliseconds / ${HASTE});
  // There is no clock before the first request.
  Date.now = () => (real.began ??= real.now()) + ${HASTE} * (real.now() - real.began);
`;

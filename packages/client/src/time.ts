// Time, by a clock that may be changed, in a page that may be hidden.

/** Maximum delay of a timer, in milliseconds, because the time for which the machine sleeps does not count. */
export const TICK = 5000;

/** A span of time, in milliseconds: from a time of this machine's clock on. */
export interface Span {
  from: number;
  length: number;
}

/** A span that is over. */
export const PAST: Span = { from: 0, length: 0 };

/**
 * The milliseconds that are left. A span that begins in the future is over, because the clock was set back by an unknown time.
 * The clocks of two tabs may differ by a little.
 */
export function left({ from, length }: Span): number {
  const passed = Date.now() - from;
  return passed < -1000 ? 0 : length - passed;
}

/** Whether the page is hidden. Its timers are late. */
export const isHidden = () => globalThis.document?.visibilityState === "hidden";

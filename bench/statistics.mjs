// Statistics of measured numbers.

/** A quantile (0 to 1) of the values, interpolated between the two nearest. */
export function quantile(values, part) {
  if (values.length === 0) throw new RangeError("no values");
  const sorted = values.toSorted((a, b) => a - b);
  const at = part * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (high - low) * (at - Math.floor(at));
}

export const median = (values) => quantile(values, 0.5);

/** The median and the quartiles. */
export function summary(values) {
  return { median: median(values), low: quantile(values, 0.25), high: quantile(values, 0.75) };
}

/** The summary of the ratios per round, because a process that slows down a whole round affects both sides equally. */
export function ratios(ours, theirs) {
  if (ours.length !== theirs.length) throw new RangeError("both lists must have the same number of rounds");
  return summary(ours.map((value, round) => value / theirs[round]));
}

/** The order of the competitors in a round. Over all rounds, each is first equally often. */
export function rotated(list, round) {
  const first = round % list.length;
  return [...list.slice(first), ...list.slice(0, first)];
}

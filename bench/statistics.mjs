// What is made of the numbers. Nothing here measures.

/** The value at a part (0 to 1) of the sorted values, between the two nearest. */
export function quantile(values, part) {
  if (values.length === 0) throw new RangeError("no values");
  const sorted = values.toSorted((a, b) => a - b);
  const at = part * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (high - low) * (at - Math.floor(at));
}

export const median = (values) => quantile(values, 0.5);

/** The median, and the quartiles around it. */
export function summary(values) {
  return { median: median(values), low: quantile(values, 0.25), high: quantile(values, 0.75) };
}

/**
 * How two lists of rounds compare: the summary of the ratios within each round. What slows a whole round down, as another
 * process does, slows both sides of its ratio.
 */
export function ratios(ours, theirs) {
  if (ours.length !== theirs.length) throw new RangeError("as many rounds of the one as of the other");
  return summary(ours.map((value, round) => value / theirs[round]));
}

/** The order of so many competitors in a round: each is first as often as any other. */
export function rotated(list, round) {
  const first = round % list.length;
  return [...list.slice(first), ...list.slice(0, first)];
}

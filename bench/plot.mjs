// The ratios as bars, in SVG: how much of the other's latency (or CPU time) Portcullis takes, and the most it may.

const [LABEL, WIDTH, ROW, MARGIN] = [420, 460, 24, 24];

/** The plot of a report, as a picture. */
export function plot({ results, machine, versions, date }) {
  const rows = results.flatMap(({ name, judgedBy, competitors: [, ...others] }) => [
    { heading: `${name} (${judgedBy === "cpu" ? "CPU time" : "latency"})` },
    ...others
      .filter(({ ratio }) => ratio[judgedBy])
      .map(({ name, ratio, bar, kept }) => ({ name, ratio: ratio[judgedBy], bar, kept })),
  ]);
  const most = Math.max(1.2, ...rows.flatMap(({ ratio, bar }) => [ratio?.high ?? 0, bar ?? 0])) * 1.05;
  const x = (ratio) => LABEL + (ratio / most) * WIDTH;
  const height = (rows.length + 4) * ROW;
  const drawn = rows.map((row, at) => drawRow(row, (at + 2.5) * ROW, x));
  const where = `${machine.cpu}, ${machine.cores} cores, ${machine.os}; workerd ${versions.workerd}; ${date.slice(0, 10)}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${LABEL + WIDTH + 90}" height="${height}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/>
<text x="${MARGIN}" y="${1.2 * ROW}" font-size="15" font-weight="bold">Portcullis relative to what stands beside each bar (shorter is faster)</text>
<line x1="${x(1)}" y1="${1.7 * ROW}" x2="${x(1)}" y2="${height - 1.5 * ROW}" stroke="#888" stroke-dasharray="3 3"/>
<text x="${x(1) + 4}" y="${2 * ROW}" fill="#666">1 = as fast</text>
${drawn.join("\n")}
<text x="${MARGIN}" y="${height - 0.5 * ROW}" fill="#666" font-size="11">${escapeXml(where)}. Red line: the most it may be. Thin line: quartiles.</text>
</svg>
`;
}

function drawRow({ heading, name, ratio, bar, kept }, y, x) {
  if (heading !== undefined) return `<text x="${MARGIN}" y="${y + 12}" font-weight="bold">${escapeXml(heading)}</text>`;
  const fill = kept === false ? "#d98c5f" : "#5f8fd9";
  const limit =
    bar === undefined
      ? ""
      : `<line x1="${x(bar)}" y1="${y - 3}" x2="${x(bar)}" y2="${y + 19}" stroke="#c00" stroke-width="2"/>`;
  return `<text x="${LABEL - 8}" y="${y + 12}" text-anchor="end">${escapeXml(name.replaceAll("`", ""))}</text>
<rect x="${x(0)}" y="${y}" width="${x(ratio.median) - x(0)}" height="16" fill="${fill}"/>
<line x1="${x(ratio.low)}" y1="${y + 8}" x2="${x(ratio.high)}" y2="${y + 8}" stroke="#223"/>${limit}
<text x="${Math.max(x(ratio.high), x(bar ?? 0)) + 6}" y="${y + 12}">${ratio.median.toFixed(2)}</text>`;
}

const escapeXml = (text) =>
  text.replace(/[&<>]/g, (character) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[character]);

// The plot of a report: Portcullis's latency (or CPU time) divided by each competitor's, the quartiles and the target.

const ROW = 24;

/** The report as an option of ECharts: one bar per ratio, below the name of its case. */
export function chart({ results, machine, versions, date }) {
  const rows = results.flatMap(({ name, judgedBy, competitors: [, ...others] }) => [
    { label: `{case|${name} (${judgedBy === "cpu" ? "CPU time" : "latency"})}` },
    ...others
      .filter(({ ratio }) => ratio[judgedBy])
      .map(({ name, ratio: { [judgedBy]: ratio }, target, met }) => ({
        label: `${name.replaceAll("`", "")}  ${ratio.median.toFixed(2)}`,
        ratio,
        target,
        met,
      })),
  ]);
  const where = `${machine.cpu}, ${machine.cores} cores, ${machine.os}; workerd ${versions.workerd}; ${date.slice(0, 10)}`;
  const bars = rows.map(({ ratio, met }) => ({
    value: ratio?.median ?? "-",
    itemStyle: { color: met === false ? "#d98c5f" : "#5f8fd9" },
  }));
  const quartiles = rows.flatMap(({ ratio }, row) => (ratio ? [[row, ratio.low, ratio.high]] : []));
  const targets = rows.flatMap(({ target }, row) => (target === undefined ? [] : [[target, row]]));
  return {
    animation: false,
    backgroundColor: "white",
    title: {
      text: "Latency or CPU time of Portcullis divided by that of each competitor (shorter is faster)",
      subtext: `${where}. Red line: target. Thin line: quartiles.`,
    },
    grid: { top: 3.5 * ROW, height: rows.length * ROW, left: 380, right: 60 },
    xAxis: { type: "value", min: 0 },
    yAxis: {
      type: "category",
      inverse: true,
      data: rows.map(({ label }) => label),
      axisTick: { show: false },
      axisLabel: { interval: 0, color: "#000", rich: { case: { fontWeight: "bold" } } },
    },
    series: [
      {
        name: "ratio",
        type: "bar",
        data: bars,
        markLine: {
          symbol: "none",
          data: [{ xAxis: 1 }],
          label: { formatter: "1 = equal", position: "start" },
          lineStyle: { color: "#888", type: "dashed" },
        },
      },
      {
        name: "quartiles",
        type: "custom",
        data: quartiles,
        encode: { x: [1, 2], y: 0 },
        renderItem: quartileLine,
        z: 3,
      },
      { name: "target", type: "scatter", data: targets, symbol: "rect", symbolSize: [2, ROW - 2], color: "#c00", z: 4 },
    ],
  };
}

function quartileLine(_parameters, api) {
  const [row, low, high] = [0, 1, 2].map((dimension) => api.value(dimension));
  const [[x1, y1], [x2, y2]] = [low, high].map((ratio) => api.coord([ratio, row]));
  return { type: "line", shape: { x1, y1, x2, y2 }, style: { stroke: "#223" } };
}

/** The plot of a report, as SVG. */
export async function plot(report) {
  // Imported here: only a run of the benchmark installs its packages.
  const { init } = await import("echarts");
  const option = chart(report);
  const height = option.grid.top + option.grid.height + 2 * ROW;
  const drawing = init(null, null, { renderer: "svg", ssr: true, width: 960, height });
  drawing.setOption(option);
  const svg = drawing.renderToSVGString();
  drawing.dispose();
  return svg;
}

// Response times by location: one line for each, failed checks as ticks in the line's colour along the top.
/* global uPlot */

import { colour, frame, keep, mark, milliseconds, tips } from "./plot.js";

const TICK = 5;

// The lines' points need not lie at the same times: put them on one axis.
function join(lines) {
  const times = [...new Set(lines.flatMap((line) => line.points.map((point) => point[0])))].sort((one, other) => one - other);
  const place = new Map(times.map((at, index) => [at, index]));
  const columns = lines.map((line) => {
    const means = new Array(times.length).fill(undefined);
    const failures = new Array(times.length).fill(0);
    for (const [at, mean, failed] of line.points) {
      means[place.get(at)] = mean == null ? null : mean * 1000;
      failures[place.get(at)] = failed;
    }
    return { means, failures };
  });
  return { times, columns };
}

function options(host, lines, joined) {
  const shades = lines.map((line) => colour(host, `--line-${line.colour}`));
  const draw = (plot) => {
    plot.ctx.save();
    joined.columns.forEach((column, row) => {
      plot.ctx.fillStyle = shades[row];
      column.failures.forEach((failed, index) => { if (failed) mark(plot, joined.times[index], joined.times.length, row, TICK); });
    });
    plot.ctx.restore();
  };
  return {
    ...frame(host, joined.times[0], joined.times.at(-1)),
    height: 200,
    padding: [10 + lines.length * (TICK + 1), 20, 0, 0],
    plugins: [{ hooks: { draw } }, tips((index) => describe(index, lines, joined))],
    series: [
      { label: "Time" },
      ...lines.map((line, index) => ({ label: line.name, stroke: shades[index], width: 1.75, spanGaps: true, points: { show: joined.times.length < 12, size: 6 } })),
    ],
  };
}

function describe(index, lines, joined) {
  const words = [];
  lines.forEach((line, row) => {
    const { means, failures } = joined.columns[row];
    if (means[index] === undefined) return;
    words.push(`${line.name} ${milliseconds(means[index])}${failures[index] ? `, ${failures[index]} failed` : ""}`);
  });
  return words;
}

keep("lines", (host, lines) => {
  if (!lines.some((line) => line.points.length)) return undefined;
  const joined = join(lines);
  return new uPlot(options(host, lines, joined), [joined.times, ...joined.columns.map((column) => column.means)], host);
});

// Lines over time: response times by location, or the figures of a kind. Failures are stretches along the top.
/* global uPlot */

import { bands, colour, frame, keep, tips, written } from "./plot.js";

const TICK = 5;

// The lines' points need not lie at the same times: put them on one axis. `undefined` is where a line has no point.
function join(lines) {
  const times = [...new Set(lines.flatMap((line) => line.points.map(([at]) => at)))].sort((one, other) => one - other);
  const place = new Map(times.map((at, index) => [at, index]));
  const columns = lines.map((line) => {
    const values = new Array(times.length).fill(undefined);
    for (const [at, value] of line.points) values[place.get(at)] = value;
    return values;
  });
  return { times, columns };
}

// Rows of failures: of the whole chart in the colour of failure, or of each line in its own.
function rows(host, chart, shades) {
  if (chart.failed) return [{ spans: chart.failed, shade: colour(host, "--down") }];
  return chart.lines.map((line, index) => ({ spans: line.failed, shade: shades[index] }));
}

function options(host, chart, joined) {
  const shades = chart.lines.map((line) => colour(host, `--line-${line.colour}`));
  const failed = rows(host, chart, shades);
  const draw = (plot) => {
    plot.ctx.save();
    failed.forEach(({ spans, shade }, row) => { plot.ctx.fillStyle = shade; bands(plot, spans, row, TICK); });
    plot.ctx.restore();
  };
  const write = written(chart.unit);
  const describe = (index) => chart.lines.flatMap((line, row) => (joined.columns[row][index] == null ? [] : [`${line.name} ${write(joined.columns[row][index])}`]));
  return {
    ...frame(host, chart, chart.unit, 10 + failed.length * (TICK + 1)),
    height: 200,
    plugins: [{ hooks: { draw } }, tips(describe)],
    series: [{}, ...shades.map((shade) => ({ stroke: shade, width: joined.times.length > 400 ? 1.1 : 1.75, points: { show: joined.times.length < 30, size: 5, fill: shade } }))],
  };
}

keep("lines", (host, chart) => {
  if (!chart.lines?.some((line) => line.points.length)) return undefined;
  const joined = join(chart.lines);
  return new uPlot(options(host, chart, joined), [joined.times, ...joined.columns], host);
});

// Response times: phases stacked as areas, p95 as a dashed line, stretches of failed checks along the top.
/* global uPlot */

import { bands, colour, frame, keep, tips, written } from "./plot.js";

const PHASES = ["lookup", "connect", "tls", "wait", "transfer"];
const write = written("s");

function build(points) {
  const used = PHASES.filter((phase) => points.some((point) => point.phases[phase] != null));
  const at = points.map((point) => point.at);
  const stacks = used.map(() => []);
  for (const point of points) {
    let sum = 0;
    used.forEach((phase, index) => {
      if (point.mean != null) sum += point.phases[phase] ?? 0;
      stacks[index].push(point.mean == null ? null : sum);
    });
  }
  const column = (key) => points.map((point) => point[key]);
  return { used, data: [at, ...stacks.toReversed(), column("mean"), column("p95")] };
}

function options(host, used, chart) {
  const down = colour(host, "--down");
  const areas = used.toReversed().map((phase) => {
    const shade = colour(host, `--phase-${phase}`);
    return { stroke: shade, fill: shade, width: 0, points: { show: false } };
  });
  const failures = { hooks: { draw: (plot) => {
    plot.ctx.save();
    plot.ctx.fillStyle = down;
    bands(plot, chart.failed, 0, 6);
    plot.ctx.restore();
  } } };
  const ink = colour(host, "--text");
  const lone = chart.points.filter((point) => point.mean != null).length < 30;
  return {
    ...frame(host, chart, "s", 10),
    height: 240,
    plugins: [failures, tips((index) => describe(chart.points[index], used))],
    series: [
      {},
      ...areas,
      { stroke: ink, width: areas.length ? 0 : 1.5, points: { show: lone, size: 5, fill: ink } },
      { stroke: ink, width: 1.5, dash: [5, 4], points: { show: false } },
    ],
  };
}

function describe(point, used) {
  const lines = [];
  if (point.mean != null) lines.push(point.mean === point.p95 ? write(point.mean) : `mean ${write(point.mean)}, p95 ${write(point.p95)}`);
  for (const phase of used) if (point.phases[phase] != null) lines.push(`${document.querySelector(`.key .p-${phase}`)?.textContent ?? phase} ${write(point.phases[phase])}`);
  if (point.failures) lines.push(point.failures === 1 ? "failed" : `${point.failures} failed`);
  if (point.mean == null && !point.failures) lines.push("nothing measured");
  return lines;
}

keep("chart", (host, chart) => {
  if (!chart.points?.length) return undefined;
  const { used, data } = build(chart.points);
  return new uPlot(options(host, used, chart), data, host);
});

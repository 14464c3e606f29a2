// Latency charts: phases stacked as areas, p95 as a dashed line, failures as ticks along the top.
/* global uPlot */

import { colour, frame, keep, mark, milliseconds, tips } from "./plot.js";

const PHASES = ["lookup", "connect", "tls", "wait", "transfer"];
const NAMES = { lookup: "Name lookup", connect: "Connect", tls: "TLS", wait: "First byte", transfer: "Transfer" };

function build(points) {
  const used = PHASES.filter((phase) => points.some((point) => point.phases[phase] != null));
  const at = points.map((point) => point.at);
  const stacks = used.map(() => []);
  for (const point of points) {
    let sum = 0;
    used.forEach((phase, index) => {
      const value = point.phases[phase];
      if (point.mean == null) { stacks[index].push(null); return; }
      sum += (value ?? 0) * 1000;
      stacks[index].push(sum);
    });
  }
  const scaled = (key) => points.map((point) => (point[key] == null ? null : point[key] * 1000));
  return { used, data: [at, ...stacks.toReversed(), scaled("mean"), scaled("p95"), points.map((point) => (point.failures ? point.failures : null))] };
}

function options(host, used, points) {
  const down = colour(host, "--down");
  const areas = used.toReversed().map((phase) => {
    const shade = colour(host, `--phase-${phase}`);
    return { label: NAMES[phase], stroke: shade, fill: shade, width: 0, points: { show: false } };
  });
  const failures = {
    hooks: {
      draw: (plot) => {
        const counts = plot.data.at(-1);
        plot.ctx.save();
        plot.ctx.fillStyle = down;
        counts.forEach((count, index) => { if (count) mark(plot, plot.data[0][index], counts.length, 0, 6); });
        plot.ctx.restore();
      },
    },
  };
  return {
    ...frame(host, points[0].at, points.at(-1).at),
    height: 240,
    padding: [10, 20, 0, 0],
    plugins: [failures, tips((index) => describe(points[index], used))],
    series: [
      { label: "Time" },
      ...areas,
      { label: "Mean", stroke: colour(host, "--text"), width: areas.length ? 0 : 1.5, points: { show: points.length < 3, size: 7 } },
      { label: "p95", stroke: colour(host, "--text"), width: 1.5, dash: [5, 4], points: { show: false } },
      { label: "Failed", scale: "n", stroke: down, width: 0, points: { show: false } },
    ],
  };
}

function describe(point, used) {
  const lines = [];
  if (point.mean != null) lines.push(`mean ${milliseconds(point.mean * 1000)}, p95 ${milliseconds(point.p95 * 1000)}`);
  for (const phase of used) if (point.phases[phase] != null) lines.push(`${NAMES[phase]} ${milliseconds(point.phases[phase] * 1000)}`);
  if (point.failures) lines.push(`${point.failures} failed`);
  if (point.mean == null && !point.failures) lines.push("nothing measured");
  return lines;
}

keep("chart", (host, points) => {
  if (!points.some((point) => point.mean != null || point.failures)) return undefined;
  const { used, data } = build(points);
  return new uPlot(options(host, used, points), data, host);
});

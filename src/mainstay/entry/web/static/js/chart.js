// Latency charts: phases stacked as areas, p95 as a dashed line, failures as ticks along the top.
/* global uPlot */

const PHASES = ["lookup", "connect", "tls", "wait", "transfer"];
const NAMES = { lookup: "Name lookup", connect: "Connect", tls: "TLS", wait: "First byte", transfer: "Transfer" };

function colour(host, name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  host.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

const milliseconds = (value) => (value == null ? "–" : value === 0 ? "0" : value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);

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

function options(host, used, points, width) {
  const ink = colour(host, "--muted");
  const grid = { stroke: colour(host, "--line"), width: 1 };
  const down = colour(host, "--down");
  const areas = used.toReversed().map((phase) => {
    const shade = colour(host, `--phase-${phase}`);
    return { label: NAMES[phase], stroke: shade, fill: shade, width: 0, points: { show: false } };
  });
  const failures = {
    hooks: {
      draw: (plot) => {
        const { ctx, bbox } = plot;
        const row = plot.data.at(-1);
        ctx.save();
        ctx.fillStyle = down;
        row.forEach((count, index) => {
          if (!count) return;
          const x = plot.valToPos(plot.data[0][index], "x", true);
          ctx.fillRect(x - 1, bbox.top, Math.max(2, bbox.width / row.length - 1), 6 * devicePixelRatio);
        });
        ctx.restore();
      },
    },
  };
  const length = points.at(-1).at - points[0].at;
  const tick = new Intl.DateTimeFormat(undefined, length > 3 * 86400 ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" });
  return {
    width,
    height: 240,
    padding: [10, 8, 0, 0],
    plugins: [failures, { hooks: { setCursor: (plot) => tell(plot, points, used), destroy: () => hideTip() } }],
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    legend: { show: false },
    scales: { x: { time: true, range: (_, low, high) => (high > low ? [low, high] : [low - 1800, high + 1800]) }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.08)] } },
    axes: [
      { stroke: ink, grid: { show: false }, ticks: grid, font: "11px system-ui", space: 70, values: (_, values) => values.map((at) => tick.format(at * 1000)) },
      { stroke: ink, grid, ticks: { show: false }, font: "11px system-ui", size: 58, values: (_, values) => values.map(milliseconds) },
    ],
    series: [
      { label: "Time" },
      ...areas,
      { label: "Mean", stroke: colour(host, "--text"), width: areas.length ? 0 : 1.5, points: { show: points.length < 3, size: 7 } },
      { label: "p95", stroke: colour(host, "--text"), width: 1.5, dash: [5, 4], points: { show: false } },
      { label: "Failed", scale: "n", stroke: down, width: 0, points: { show: false } },
    ],
  };
}

const moment = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
let tip;
function hideTip() { tip?.remove(); tip = undefined; }

function tell(plot, points, used) {
  const point = points[plot.cursor.idx];
  if (!point || plot.cursor.left < 0) { hideTip(); return; }
  if (!tip) tip = document.body.appendChild(Object.assign(document.createElement("div"), { className: "tip" }));
  const lines = [moment.format(point.at * 1000)];
  if (point.mean != null) lines.push(`mean ${milliseconds(point.mean * 1000)}, p95 ${milliseconds(point.p95 * 1000)}`);
  for (const phase of used) if (point.phases[phase] != null) lines.push(`${NAMES[phase]} ${milliseconds(point.phases[phase] * 1000)}`);
  if (point.failures) lines.push(`${point.failures} failed`);
  if (point.mean == null && !point.failures) lines.push("nothing measured");
  tip.textContent = lines.join("\n");
  const box = plot.over.getBoundingClientRect();
  const left = box.left + plot.cursor.left;
  tip.style.left = `${left + tip.offsetWidth + 24 > innerWidth ? left - tip.offsetWidth - 12 : left + 12}px`;
  tip.style.top = `${box.top + 8}px`;
}

function draw(host) {
  const source = document.getElementById(host.dataset.chart);
  const points = JSON.parse(source?.textContent ?? "[]");
  host.querySelector(".uplot")?.remove();
  if (!points.some((point) => point.mean != null || point.failures)) return;
  const { used, data } = build(points);
  const plot = new uPlot(options(host, used, points, host.clientWidth), data, host);
  host.plot = plot;
}

let width = 0;
const watcher = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    if (Math.abs(contentRect.width - width) < 2) continue;
    width = contentRect.width;
    target.plot?.setSize({ width, height: 240 });
  }
});

function all() {
  for (const host of document.querySelectorAll("[data-chart]")) {
    const text = document.getElementById(host.dataset.chart)?.textContent;
    if (host.drawn === text && host.querySelector(".uplot")) continue;
    host.drawn = text;
    draw(host);
    watcher.observe(host);
  }
}

document.addEventListener("mainstay:theme", () => document.querySelectorAll("[data-chart]").forEach(draw));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.querySelectorAll("[data-chart]").forEach(draw));
document.addEventListener("mainstay:swapped", all);
document.addEventListener("htmx:afterSettle", all);
all();

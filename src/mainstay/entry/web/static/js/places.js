// Response times by location: one line for each, failed checks as ticks in the line's colour along the top.
/* global uPlot */

const TICK = 5;

function colour(host, name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  host.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

const milliseconds = (value) => (value == null ? "–" : value === 0 ? "0" : value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);
const moment = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
let tip;

function hideTip() { tip?.remove(); tip = undefined; }

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

function options(host, lines, joined, width) {
  const ink = colour(host, "--muted");
  const grid = { stroke: colour(host, "--line"), width: 1 };
  const shades = lines.map((line) => colour(host, `--line-${line.colour}`));
  const draw = (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    joined.columns.forEach((column, row) => {
      ctx.fillStyle = shades[row];
      column.failures.forEach((failed, index) => {
        if (!failed) return;
        const x = plot.valToPos(joined.times[index], "x", true);
        ctx.fillRect(x - 1, bbox.top + row * (TICK + 1) * devicePixelRatio, Math.max(2, bbox.width / joined.times.length - 1), TICK * devicePixelRatio);
      });
    });
    ctx.restore();
  };
  const length = joined.times.at(-1) - joined.times[0];
  const tick = new Intl.DateTimeFormat(undefined, length > 3 * 86400 ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" });
  return {
    width,
    height: 200,
    padding: [10 + lines.length * (TICK + 1), 8, 0, 0],
    plugins: [{ hooks: { draw, setCursor: (plot) => tell(plot, lines, joined), destroy: hideTip } }],
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    legend: { show: false },
    scales: { x: { time: true, range: (_, low, high) => (high > low ? [low, high] : [low - 1800, high + 1800]) }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.08)] } },
    axes: [
      { stroke: ink, grid: { show: false }, ticks: grid, font: "11px system-ui", space: 70, values: (_, values) => values.map((at) => tick.format(at * 1000)) },
      { stroke: ink, grid, ticks: { show: false }, font: "11px system-ui", size: 58, values: (_, values) => values.map(milliseconds) },
    ],
    series: [
      { label: "Time" },
      ...lines.map((line, index) => ({ label: line.name, stroke: shades[index], width: 1.75, spanGaps: true, points: { show: joined.times.length < 12, size: 6 } })),
    ],
  };
}

function tell(plot, lines, joined) {
  const index = plot.cursor.idx;
  if (index == null || plot.cursor.left < 0) { hideTip(); return; }
  if (!tip) tip = document.body.appendChild(Object.assign(document.createElement("div"), { className: "tip" }));
  const words = [moment.format(joined.times[index] * 1000)];
  lines.forEach((line, row) => {
    const { means, failures } = joined.columns[row];
    if (means[index] === undefined) return;
    words.push(`${line.name} ${milliseconds(means[index])}${failures[index] ? `, ${failures[index]} failed` : ""}`);
  });
  tip.textContent = words.join("\n");
  const box = plot.over.getBoundingClientRect();
  const left = box.left + plot.cursor.left;
  tip.style.left = `${left + tip.offsetWidth + 24 > innerWidth ? left - tip.offsetWidth - 12 : left + 12}px`;
  tip.style.top = `${box.top + 8}px`;
}

function draw(host) {
  const lines = JSON.parse(document.getElementById(host.dataset.lines)?.textContent ?? "[]");
  host.querySelector(".uplot")?.remove();
  if (!lines.some((line) => line.points.length)) return;
  const joined = join(lines);
  host.plot = new uPlot(options(host, lines, joined, host.clientWidth), [joined.times, ...joined.columns.map((column) => column.means)], host);
}

let width = 0;
const watcher = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    if (Math.abs(contentRect.width - width) < 2) continue;
    width = contentRect.width;
    target.plot?.setSize({ width, height: 200 });
  }
});

function all() {
  for (const host of document.querySelectorAll("[data-lines]")) {
    const text = document.getElementById(host.dataset.lines)?.textContent;
    if (host.drawn === text && host.querySelector(".uplot")) continue;
    host.drawn = text;
    draw(host);
    watcher.observe(host);
  }
}

const again = () => document.querySelectorAll("[data-lines]").forEach(draw);
document.addEventListener("mainstay:theme", again);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
document.addEventListener("mainstay:swapped", all);
document.addEventListener("htmx:afterSettle", all);
all();

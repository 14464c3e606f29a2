// What charts share: colours of the theme, axes over time, the tip at the pointer, and drawing anew when it is due.

export function colour(host, name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  host.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

export const milliseconds = (value) => (value == null ? "–" : value === 0 ? "0" : value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);

const plain = (value) => (value == null ? "–" : String(Math.round(value * 100) / 100));
const UNITS = { s: (value) => milliseconds(value == null ? null : value * 1000), "%": (value) => `${plain(value)} %` };

// How figures of a unit are written: seconds as times, others with their unit behind them.
export const written = (unit) => UNITS[unit] ?? ((value) => `${plain(value)}${unit ? ` ${unit}` : ""}`);

const FONT = "11px system-ui";
const DAY = 86400;
const DAYS = [1, 2, 3, 4, 5, 7, 10, 14, 30].map((days) => days * DAY); // where only dates are written, each stands once

const ruler = document.createElement("canvas").getContext("2d");
ruler.font = FONT;

// Pixels from the middle of a label to its end: the last one may stand below the very end of the axis.
const half = (text) => Math.ceil(ruler.measureText(text).width / 2) + 1;

// Options of uPlot for figures of `unit` over the time from `from` to `to`, in seconds of the epoch; `top` pixels are
// left above them.
export function frame(host, { from, to }, unit, top) {
  const ink = colour(host, "--muted");
  const grid = { stroke: colour(host, "--line"), width: 1 };
  const dates = to - from > 3 * DAY;
  const tick = new Intl.DateTimeFormat(undefined, dates ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" });
  const write = written(unit);
  const least = unit === "s" ? 0.001 : 1;
  return {
    width: host.clientWidth,
    padding: [top, half(tick.format(to * 1000)), 0, 0],
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    legend: { show: false },
    scales: { x: { time: true, range: () => [from, to] }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(least, (high ?? 0) * 1.08)] } },
    axes: [
      { stroke: ink, grid: { show: false }, ticks: grid, font: FONT, space: 70, ...(dates && { incrs: DAYS }), values: (_, values) => values.map((at) => tick.format(at * 1000)) },
      { stroke: ink, grid, ticks: { show: false }, font: FONT, size: 58, values: (_, values) => values.map(write) },
    ],
  };
}

// Stretches of time along the top of the plot, in which checks failed: row 0 is the uppermost.
export function bands(plot, spans, row, height) {
  const { ctx, bbox } = plot;
  const right = bbox.left + bbox.width;
  for (const [begin, end] of spans) {
    const x = Math.max(bbox.left, plot.valToPos(begin, "x", true));
    const width = Math.max(2 * devicePixelRatio, Math.min(right, plot.valToPos(end, "x", true)) - x);
    ctx.fillRect(Math.min(x, right - width), bbox.top + row * (height + 1) * devicePixelRatio, width, height * devicePixelRatio);
  }
}

const moment = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
let tip;
function hide() { tip?.remove(); tip = undefined; }

// A plugin of uPlot: `describe(index)` gives the lines for a point, below its time; null for none.
export function tips(describe) {
  const tell = (plot) => {
    const { idx, left: pointer } = plot.cursor;
    const lines = idx == null || pointer < 0 ? null : describe(idx);
    if (!lines) { hide(); return; }
    if (!tip) tip = document.body.appendChild(Object.assign(document.createElement("div"), { className: "tip" }));
    tip.textContent = [moment.format(plot.data[0][idx] * 1000), ...lines].join("\n");
    const box = plot.over.getBoundingClientRect();
    const left = box.left + pointer;
    tip.style.left = `${left + tip.offsetWidth + 24 > innerWidth ? left - tip.offsetWidth - 12 : left + 12}px`;
    tip.style.top = `${box.top + 8}px`;
  };
  return { hooks: { setCursor: tell, destroy: hide } };
}

// Keep a chart in each element with `data-<key>`, which names the element that holds its data as JSON.
// `make(host, data)` gives a plot, or nothing where there is nothing to show.
export function keep(key, make) {
  const hosts = () => document.querySelectorAll(`[data-${key}]`);
  const source = (host) => document.getElementById(host.dataset[key])?.textContent;
  const draw = (host) => {
    host.querySelector(".uplot")?.remove();
    host.plot = make(host, JSON.parse(source(host) ?? "[]"));
  };
  const widths = new WeakMap();
  const watcher = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      if (Math.abs(contentRect.width - (widths.get(target) ?? 0)) < 2) continue;
      widths.set(target, contentRect.width);
      target.plot?.setSize({ width: contentRect.width, height: target.plot.height });
    }
  });
  const all = () => {
    for (const host of hosts()) {
      const text = source(host);
      if (host.drawn === text && host.querySelector(".uplot")) continue;
      host.drawn = text;
      draw(host);
      watcher.observe(host);
    }
  };
  const again = () => hosts().forEach(draw);
  document.addEventListener("mainstay:theme", again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  document.addEventListener("mainstay:swapped", all);
  document.addEventListener("htmx:afterSettle", all);
  all();
}

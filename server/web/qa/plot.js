// Small plots as SVG: points with intervals and lines, axes with round numbers, and a table of the same for those who read.

const SPACE = "http://www.w3.org/2000/svg";
const MARGIN = { left: 48, right: 14, top: 12, bottom: 40 };
export const COLOURS = ["#5cc9bd", "#ffc94d", "#9db8ff", "#ff9e80", "#c4a7ff", "#9ad17f"];
const DASHES = ["", "6 3", "2 3", "9 3 2 3", "", "6 3"];

/**
 * @typedef {{x: number, y: number, low?: ?number, high?: ?number, label?: string, beside?: string}} Point
 * @typedef {{name: string, points: Point[], steps?: boolean, apart?: boolean}} Series apart: no line joins its points
 * @typedef {{title: string, x: string, y: string, series: Series[], yRange?: [number, number], xRange?: [number, number], percent?: boolean, width?: number, height?: number}} Plot
 */

function made(name, attributes = {}, text = "") {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text) element.textContent = text;
  return element;
}

/** Round numbers from low to high, about as many as asked for. @param {number} low @param {number} high @param {number} count */
export function ticks(low, high, count = 5) {
  const span = high - low || 1;
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough - 1e-12);
  const first = Math.ceil(low / step - 1e-9) * step;
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (step / power === 2.5 ? 1 : 0));
  const found = [];
  for (let value = first; value <= high + step * 1e-6; value += step) found.push(Number(value.toFixed(places + 2)));
  return found;
}

const range = (values, given, room) => {
  if (given) return given;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const more = (high - low || Math.abs(high) || 1) * room;
  return [low >= 0 ? Math.max(0, low - more) : low - more, high + more];
};

/** @param {Plot} plot @returns {SVGElement} */
export function drawn(plot) {
  const { width = 460, height = 280 } = plot;
  const points = plot.series.flatMap((series) => series.points);
  const xs = points.map((point) => point.x);
  const ys = points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]);
  const [x0, x1] = range(xs, plot.xRange, 0.05);
  const [y0, y1] = range(ys, plot.yRange, 0.1);
  const across = (x) => MARGIN.left + ((x - x0) / (x1 - x0 || 1)) * (width - MARGIN.left - MARGIN.right);
  const down = (y) => height - MARGIN.bottom - ((y - y0) / (y1 - y0 || 1)) * (height - MARGIN.top - MARGIN.bottom);
  const shown = (value) => (plot.percent ? `${Math.round(100 * value)} %` : String(value));
  const svg = made("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${plot.title}. The table below holds its numbers.` });
  for (const value of ticks(y0, y1)) {
    svg.append(made("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: down(value), y2: down(value), class: "rule" }));
    svg.append(made("text", { x: MARGIN.left - 7, y: down(value) + 4, class: "number end" }, shown(value)));
  }
  for (const value of ticks(x0, x1, 6)) {
    svg.append(made("line", { x1: across(value), x2: across(value), y1: height - MARGIN.bottom, y2: height - MARGIN.bottom + 4, class: "axis" }));
    svg.append(made("text", { x: across(value), y: height - MARGIN.bottom + 18, class: "number middle" }, String(value)));
  }
  svg.append(made("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: height - MARGIN.bottom, y2: height - MARGIN.bottom, class: "axis" }));
  svg.append(made("text", { x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 5, class: "name middle" }, plot.x));
  plot.series.forEach((series, number) => {
    const colour = COLOURS[number % COLOURS.length];
    const sorted = series.points.slice().sort((a, b) => a.x - b.x);
    const path = sorted.map((point, place) => {
      const [x, y] = [across(point.x).toFixed(1), down(point.y).toFixed(1)];
      return place === 0 ? `M${x} ${y}` : series.steps ? `H${x}V${y}` : `L${x} ${y}`;
    });
    if (sorted.length > 1 && !series.apart) svg.append(made("path", { d: path.join(""), fill: "none", stroke: colour, "stroke-width": 2, "stroke-dasharray": DASHES[number % DASHES.length] }));
    for (const point of sorted) {
      if (Number.isFinite(point.low) && Number.isFinite(point.high)) {
        svg.append(made("line", { x1: across(point.x), x2: across(point.x), y1: down(point.low), y2: down(point.high), stroke: colour, "stroke-width": 1.5, opacity: 0.75 }));
        for (const end of [point.low, point.high]) svg.append(made("line", { x1: across(point.x) - 4, x2: across(point.x) + 4, y1: down(end), y2: down(end), stroke: colour, "stroke-width": 1.5, opacity: 0.75 }));
      }
      if (series.steps) continue;
      const dot = made("circle", { cx: across(point.x), cy: down(point.y), r: 4, fill: colour });
      dot.append(made("title", {}, `${series.name}${point.label ? `, ${point.label}` : ""}: ${shown(point.y)}`));
      svg.append(dot);
      if (point.beside) {
        const left = across(point.x) > width / 2;
        svg.append(made("text", { x: across(point.x) + (left ? -8 : 8), y: down(point.y) + 4, class: `number${left ? " end" : ""}` }, point.beside));
      }
    }
  });
  return svg;
}

/** A legend, the plot, and its numbers as a table that can be opened. @param {Plot} plot */
export function figure(plot) {
  const root = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = `${plot.title} — ${plot.y}`;
  const legend = document.createElement("ul");
  legend.className = "legend";
  plot.series.forEach((series, number) => {
    const item = document.createElement("li");
    const line = made("svg", { viewBox: "0 0 24 8", width: 24, height: 8, "aria-hidden": "true" });
    line.append(made("line", { x1: 0, x2: 24, y1: 4, y2: 4, stroke: COLOURS[number % COLOURS.length], "stroke-width": 2.5, "stroke-dasharray": DASHES[number % DASHES.length] }));
    item.append(line, ` ${series.name}`);
    legend.append(item);
  });
  root.append(caption, legend, drawn(plot), numbers(plot));
  return root;
}

function numbers(plot) {
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = "Numbers";
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of ["", plot.x, plot.y, "95 % interval"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    head.append(cell);
  }
  const body = table.createTBody();
  const short = (value) => (Number.isFinite(value) ? String(Math.round(value * 1000) / 1000) : "");
  for (const series of plot.series) {
    for (const point of series.points) {
      const row = body.insertRow();
      const interval = Number.isFinite(point.low) ? `${short(point.low)} to ${short(point.high)}` : "";
      for (const text of [point.label || series.name, short(point.x), short(point.y), interval]) row.insertCell().textContent = text;
    }
  }
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  scroll.append(table);
  details.append(summary, scroll);
  return details;
}

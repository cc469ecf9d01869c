// Boxing by hand: points on the outermost edges of a lesion in one slice, and from which slice to which it reaches.

import { drawScale, phaseName, sized, words } from "./card.js";

/** @typedef {import("./api.js").Box} Box */

const ACCENT = "#5cc9bd";
const TICK = "#ffc94d";
const FAINT = "#aab5bb";
const INK = "#e4eaed";

/** @param {number[][]} m 4 x 4 @param {number[]} p x, y, z @returns {number[]} */
const carried = (m, [x, y, z]) => [0, 1, 2].map((row) => m[row][0] * x + m[row][1] * y + m[row][2] * z + m[row][3]);

/** The inverse of an affine map. @param {number[][]} m @returns {number[][]} */
export function inverse(m) {
  const [[a, b, c], [d, e, f], [g, h, i]] = m;
  const minors = [
    [e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d],
  ];
  const size = a * minors[0][0] + b * minors[1][0] + c * minors[2][0];
  const turned = minors.map((row) => row.map((value) => value / size));
  const shift = [m[0][3], m[1][3], m[2][3]];
  return [...turned.map((row) => [...row, -(row[0] * shift[0] + row[1] * shift[1] + row[2] * shift[2])]), [0, 0, 0, 1]];
}

/** The box round a box carried along an affine map. @param {number[][]} m @param {number[]} low @param {number[]} high @returns {Box} */
export function around(m, low, high) {
  const corners = Array.from({ length: 8 }, (_, n) => carried(m, [0, 1, 2].map((axis) => ((n >> axis) & 1 ? high : low)[axis])));
  const edge = (take) => [0, 1, 2].map((axis) => take(...corners.map((corner) => corner[axis])));
  return /** @type {Box} */ ([...edge(Math.min), ...edge(Math.max)]);
}

export class Boxing {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./shelf.js").Shelf} shelf
   * @param {{save: (box: Box) => void, closed: () => void, told: (text: string) => void}} on
   */
  constructor(canvas, shelf, on) {
    this.canvas = canvas;
    this.shelf = shelf;
    this.on = on;
    this.reading = null;
    canvas.addEventListener("click", (event) => this._clicked(event));
    canvas.addEventListener("pointermove", (event) => this._moved(event));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.scroll(event.deltaY > 0 ? -1 : 1);
    }, { passive: false });
  }

  get isOpen() {
    return this.reading !== null;
  }

  /** @param {import("./reading.js").Reading} reading @param {number} k @param {string} preset */
  open(reading, k, preset) {
    this.reading = reading;
    this.isPainted = this.isWhole = false;
    this.stack = reading.layout.stack;
    this.to_slices = inverse(this.stack.to_lps);
    this.scanned = reading.layout.phases.filter((one) => one.scanned).map((one) => one.phase);
    this.phase = this.scanned.includes(reading.layout.reference) ? reading.layout.reference : this.scanned[0];
    this.preset = preset;
    this.k = Math.max(0, Math.min(k, this.stack.slices - 1));
    const [left, top, right, bottom] = this.stack.focus;
    this.cursor = [(left + right) / 2, (top + bottom) / 2];
    this._forget();
    this.draw();
    this.on.told(this.hint);
  }

  /** Do what a key or button says. @param {string} what @param {boolean} far whether in large steps */
  act(what, far) {
    const step = far ? 24 : 4;
    const crosses = { "cross-up": [0, -1], "cross-down": [0, 1], "cross-left": [-1, 0], "cross-right": [1, 0] };
    if (what in crosses) this.move(...crosses[what].map((way) => way * step));
    else if (what.startsWith("phase-")) this.choose(Number(what.slice(6)));
    else if (what === "up" || what === "down") this.scroll(what === "up" ? 1 : -1);
    else if (what === "box-point") this.point();
    else if (what === "box-save") this.save();
    else if (what === "box-back") this.back();
    else if (what === "box-whole") this.whole();
    else if (what === "box-from") this.depth("low");
    else if (what === "box-to") this.depth("high");
    else if (what === "box-close" || what === "box") this.close();
  }

  close() {
    this.reading = null;
    this.on.closed();
  }

  _forget() {
    this.points = [];
    this.low = this.high = null;
    this.key = null;
  }

  /** What is to be done next, in words. */
  get hint() {
    const box = this.box;
    if (!this.points.length) return "Click the left, right, upper and lower edge of the lesion in the slice where it is largest.";
    if (!box) return "Click the opposite edges as well.";
    return `${box.mm.map((mm) => mm.toFixed(0)).join(" × ")} mm, slices ${box.low + 1} to ${box.high + 1} of ${this.stack.slices}. ` +
      "Scroll and set where it begins (,) and ends (.), then save (Enter).";
  }

  /** What has been drawn so far; null until it has an area. */
  get box() {
    const xs = this.points.map((point) => point[0]);
    const ys = this.points.map((point) => point[1]);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    if (this.points.length < 2 || right - left < 2 || bottom - top < 2) return null;
    const column = [0, 1, 2].map((row) => this.stack.to_lps[row][2]);
    const step = Math.hypot(...column);
    const wide = (right - left) * this.stack.mm_per_px;
    const high = (bottom - top) * this.stack.mm_per_px;
    // until it is said how deep it is, it is taken to be as deep as it is wide
    const half = Math.max(0, Math.round((wide + high) / 4 / step - 0.5));
    const lowest = Math.max(0, Math.min(this.low ?? this.key - half, this.key));
    const highest = Math.min(this.stack.slices - 1, Math.max(this.high ?? this.key + half, this.key));
    return { left, right, top, bottom, low: lowest, high: highest, mm: [wide, high, (highest - lowest + 1) * step] };
  }

  /** Set the nearer or the further end of the depth to the slice that is shown. @param {"low" | "high"} end */
  depth(end) {
    if (!this.points.length) return;
    this[end] = this.k;
    this.draw();
    this.on.told(this.hint);
  }

  back() {
    this.points.pop();
    if (!this.points.length) this._forget();
    this.draw();
    this.on.told(this.hint);
  }

  save() {
    const box = this.box;
    if (!box) {
      this.on.told(this.hint);
      return;
    }
    const lps = around(this.stack.to_lps, [box.left, box.top, box.low], [box.right, box.bottom, box.high + 1]);
    this._forget();
    this.on.save(lps);
    if (this.isOpen) this.draw();
  }

  /** @param {number} towardsHead slices */
  scroll(towardsHead) {
    const step = this.stack.headwards ? towardsHead : -towardsHead;
    this.k = Math.max(0, Math.min(this.k + step, this.stack.slices - 1));
    this.draw();
  }

  /** @param {number} place of the phases that were scanned */
  choose(place) {
    if (place < this.scanned.length) this.phase = this.scanned[place];
    this.draw();
  }

  /** Show the whole slice, or the liver alone. */
  whole() {
    this.isWhole = !this.isWhole;
    this.draw();
  }

  /** Move the crosshair. */
  move(x, y) {
    const [wide, high] = this.stack.size_px;
    this.cursor = [Math.max(0, Math.min(this.cursor[0] + x, wide)), Math.max(0, Math.min(this.cursor[1] + y, high))];
    this.draw();
  }

  /** Put a point where the crosshair is. */
  point() {
    if (this.points.length && this.k !== this.key) this.on.told("The points lie in another slice; this one moves them here.");
    if (this.points.length >= 8) return;
    this.key = this.k;
    this.points.push([...this.cursor]);
    this.draw();
    this.on.told(this.hint);
  }

  _place(event) {
    const edges = this.canvas.getBoundingClientRect();
    return [(event.clientX - edges.left - this.offset[0]) / this.scale, (event.clientY - edges.top - this.offset[1]) / this.scale];
  }

  _moved(event) {
    if (!this.isOpen || !this.isPainted) return;
    this.cursor = this._place(event);
    this.draw();
  }

  _clicked(event) {
    if (!this.isOpen || !this.isPainted || event.detail > 1) return;
    this.cursor = this._place(event);
    const [wide, high] = this.stack.size_px;
    if (this.cursor[0] >= 0 && this.cursor[0] <= wide && this.cursor[1] >= 0 && this.cursor[1] <= high) this.point();
  }

  async draw() {
    const { reading, k, phase, preset } = this;
    const first = Math.floor(k / this.stack.per_picture) * this.stack.per_picture;
    const picture = await this.shelf.stack(reading.layout, phase, preset, first).catch(() => null);
    if (this.reading !== reading || this.k !== k || this.phase !== phase || this.preset !== preset) return;
    this._paint(picture, k - first);
    const after = first + this.stack.per_picture;
    if (after < this.stack.slices && k - first > this.stack.per_picture / 2) this.shelf.stack(reading.layout, phase, preset, after).catch(() => {});
    else if (first > 0) this.shelf.stack(reading.layout, phase, preset, first - this.stack.per_picture).catch(() => {});
  }

  _paint(picture, place) {
    const { width, height } = this.canvas.parentElement.getBoundingClientRect();
    const [wide, high] = this.stack.size_px;
    const context = sized(this.canvas, Math.floor(width), Math.floor(height));
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    const [left, top, right, bottom] = this.isWhole ? [0, 0, wide, high] : this.stack.focus;
    this.scale = Math.min(width / (right - left), height / (bottom - top));
    this.offset = [width / 2 - ((left + right) / 2) * this.scale, height / 2 - ((top + bottom) / 2) * this.scale];
    this.isPainted = Boolean(picture);
    if (!picture) {
      words(context, "This slice could not be fetched; it is tried again when you scroll.", width / 2, height / 2, { align: "center" });
      return;
    }
    context.imageSmoothingQuality = "medium";
    context.save();
    context.translate(...this.offset);
    context.scale(this.scale, this.scale);
    context.drawImage(picture, 0, place * high, wide, high, 0, 0, wide, high);
    context.lineWidth = 1.5 / this.scale;
    for (const card of this.reading.cards) {
      if (this.reading.verdicts.get(card.candidate) === "true") this._outline(context, card.box, TICK);
    }
    for (const box of this.reading.boxes.values()) this._outline(context, box, ACCENT);
    const box = this.box;
    if (box && this.k >= box.low && this.k <= box.high) {
      context.strokeStyle = ACCENT;
      context.setLineDash(this.k === this.key ? [] : [4 / this.scale, 4 / this.scale]);
      context.strokeRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
      context.setLineDash([]);
    }
    context.fillStyle = ACCENT;
    const dot = 3 / this.scale;
    if (this.k === this.key) for (const [x, y] of this.points) context.fillRect(x - dot, y - dot, 2 * dot, 2 * dot);
    context.strokeStyle = INK;
    context.lineWidth = 1 / this.scale;
    context.beginPath();
    const [x, y] = this.cursor;
    const reach = 14 / this.scale;
    context.moveTo(x - reach, y);
    context.lineTo(x + reach, y);
    context.moveTo(x, y - reach);
    context.lineTo(x, y + reach);
    context.stroke();
    context.restore();
    words(context, `${phaseName(this.phase)} · slice ${this.k + 1} of ${this.stack.slices}`, 10, 22, { size: 14 });
    words(context, this.stack.left, 8, height / 2, { size: 13, colour: FAINT, base: "middle" });
    words(context, this.stack.top, width / 2, 6, { size: 13, colour: FAINT, align: "center", base: "top" });
    drawScale(context, this.stack.mm_per_px / this.scale, 12, height - 14);
  }

  _outline(context, box, colour) {
    const [left, top, low, right, bottom, high] = around(this.to_slices, box.slice(0, 3), box.slice(3));
    if (this.k + 0.5 < low || this.k + 0.5 > high) return;
    context.strokeStyle = colour;
    context.globalAlpha = 0.75;
    context.strokeRect(left, top, right - left, bottom - top);
    context.globalAlpha = 1;
  }
}

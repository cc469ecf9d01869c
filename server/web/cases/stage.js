// The picture with what lies over it: attention, the boxes of the reading, also as they lie on the image beside, the box the model looked at, the box being drawn.

import { byId } from "../../qa/web/dom.js";

const BOX = "#ffc94d";
const DRAWN = "#5cc9bd";
const LOOKED = "#93a0a7";
const LARGEST = 2.5;
const LEAST_PX = 3;

export class Stage {
  /**
   * @param {(box: import("./api.js").Box, isMore: boolean) => void} drawn told of a box that was dragged
   * @param {() => void} [begun] told that somebody begins to drag
   */
  constructor(drawn, begun = () => {}) {
    this._canvas = byId("picture");
    this._drawn = drawn;
    this._begun = begun;
    /** @type {?ImageBitmap} */ this.frame = null;
    /** @type {?ImageBitmap} */ this.attention = null;
    this.strength = 0.5;
    /** @type {import("./api.js").Box[]} */ this.boxes = [];
    /** @type {import("./api.js").Box[]} the same on the other image, where two lie side by side */ this.beside = [];
    /** @type {?import("./api.js").Box} */ this.looked = null;
    /** @type {?import("./api.js").Box} */ this.draft = null;
    this._scale = 1;
    this._isDragging = false;
    new ResizeObserver(() => this.draw()).observe(byId("stage"));
    this._listen();
  }

  draw() {
    if (!this.frame) return;
    const { width, height } = this.frame;
    const room = byId("stage").getBoundingClientRect();
    if (!this._isDragging) this._scale = Math.max(0.1, Math.min(LARGEST, room.width / width, room.height / height));
    const ratio = devicePixelRatio || 1;
    const canvas = this._canvas;
    canvas.width = Math.round(width * this._scale * ratio);
    canvas.height = Math.round(height * this._scale * ratio);
    canvas.style.width = `${width * this._scale}px`;
    canvas.style.height = `${height * this._scale}px`;
    const to = canvas.getContext("2d");
    to.scale(this._scale * ratio, this._scale * ratio);
    to.imageSmoothingQuality = "high";
    to.drawImage(this.frame, 0, 0);
    if (this.attention && this.strength > 0) {
      to.globalAlpha = this.strength;
      to.drawImage(this.attention, 0, 0);
      to.globalAlpha = 1;
    }
    const sameAsRead = this.looked && [...this.boxes, ...this.beside].some((box) => box.every((edge, n) => Math.abs(edge - this.looked[n]) < 1));
    if (this.looked && !sameAsRead) this._outline(to, this.looked, LOOKED, [6, 4]);
    for (const box of this.boxes) this._outline(to, box, BOX, []);
    for (const box of this.beside) this._outline(to, box, BOX, [4, 2]);
    if (this.draft) this._outline(to, this.draft, DRAWN, [4, 3]);
  }

  _outline(to, [left, top, right, bottom], colour, dashes) {
    to.setLineDash(dashes.map((dash) => dash / this._scale));
    to.lineWidth = 1.6 / this._scale;
    to.strokeStyle = colour;
    to.strokeRect(left, top, right - left, bottom - top);
    to.setLineDash([]);
  }

  /** Keep a box on the picture. @param {number[]} box @returns {import("./api.js").Box} */
  within([left, top, right, bottom]) {
    const { width, height } = this.frame;
    const inside = (value, most) => Math.round(Math.max(0, Math.min(value, most)));
    return [inside(Math.min(left, right), width), inside(Math.min(top, bottom), height), inside(Math.max(left, right), width), inside(Math.max(top, bottom), height)];
  }

  /** Follow a drag. What it meant is said by where the picture lay when it began, should it move meanwhile. */
  _listen() {
    const canvas = this._canvas;
    let boxTo = null;
    const end = () => {
      boxTo = this.draft = null;
      this._isDragging = false;
      this.draw();
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button || !this.frame) return;
      const [edge, scale] = [canvas.getBoundingClientRect(), this._scale];
      const place = ({ clientX, clientY }) => [(clientX - edge.left) / scale, (clientY - edge.top) / scale];
      boxTo = (there) => this.within([...place(event), ...place(there)]);
      this._isDragging = true;
      canvas.setPointerCapture(event.pointerId);
      this._begun();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!boxTo) return;
      this.draft = boxTo(event);
      this.draw();
    });
    canvas.addEventListener("pointerup", (event) => {
      if (!boxTo) return;
      const box = boxTo(event);
      end();
      if (box[2] - box[0] >= LEAST_PX && box[3] - box[1] >= LEAST_PX) this._drawn(box, event.shiftKey);
    });
    canvas.addEventListener("pointercancel", end);
  }
}

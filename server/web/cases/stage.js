// The picture with what lies over it: attention, the boxes of the reading, also as they lie on the image beside, the box the model looked at, the box being drawn.

import { byId } from "../../qa/web/dom.js";

const BOX = "#ffc94d";
const DRAWN = "#5cc9bd";
const LOOKED = "#93a0a7";
const LARGEST = 2.5;
const LEAST_PX = 3;

export class Stage {
  /** @param {(box: import("./api.js").Box, isMore: boolean) => void} drawn told of a box that was dragged */
  constructor(drawn) {
    this._canvas = byId("picture");
    this._drawn = drawn;
    /** @type {?ImageBitmap} */ this.frame = null;
    /** @type {?ImageBitmap} */ this.attention = null;
    this.strength = 0.5;
    /** @type {import("./api.js").Box[]} */ this.boxes = [];
    /** @type {import("./api.js").Box[]} the same on the other image, where two lie side by side */ this.beside = [];
    /** @type {?import("./api.js").Box} */ this.looked = null;
    /** @type {?import("./api.js").Box} */ this.draft = null;
    this._scale = 1;
    new ResizeObserver(() => this.draw()).observe(byId("stage"));
    this._listen();
  }

  draw() {
    if (!this.frame) return;
    const { width, height } = this.frame;
    const room = byId("stage").getBoundingClientRect();
    this._scale = Math.max(0.1, Math.min(LARGEST, room.width / width, room.height / height));
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

  _listen() {
    const canvas = this._canvas;
    const place = (event) => {
      const edge = canvas.getBoundingClientRect();
      return [(event.clientX - edge.left) / this._scale, (event.clientY - edge.top) / this._scale];
    };
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button || !this.frame) return;
      from = place(event);
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      this.draft = this.within([...from, ...place(event)]);
      this.draw();
    });
    canvas.addEventListener("pointerup", (event) => {
      if (!from) return;
      const box = this.within([...from, ...place(event)]);
      from = this.draft = null;
      if (box[2] - box[0] >= LEAST_PX && box[3] - box[1] >= LEAST_PX) this._drawn(box, event.shiftKey);
      else this.draw();
    });
    canvas.addEventListener("pointercancel", () => {
      from = this.draft = null;
      this.draw();
    });
  }
}

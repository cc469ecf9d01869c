// A box that is drawn with the keys: the key bar is replaced by one for it.

import { byId } from "../../qa/web/dom.js";

const LEAST_PX = 3;
const FAR_PX = 10;
const MOVES = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] };

export class Draft {
  /** @param {import("./stage.js").Stage} stage @param {(box: import("./api.js").Box) => void} drawn told of a box that is kept */
  constructor(stage, drawn) {
    this._stage = stage;
    this._drawn = drawn;
    /** @type {?import("./api.js").Box} */ this.box = null;
  }

  get isOpen() {
    return this.box !== null;
  }

  /** @param {number[]} box where to begin */
  begin(box) {
    this._show(this._stage.within(box));
    this._bars(true);
  }

  /** @param {string} what @param {{corner: boolean, far: boolean}} how corner: move the lower right one alone */
  act(what, { corner, far }) {
    if (what === "box-save" || what === "box-close") this._end(what === "box-save");
    else if (what in MOVES) this._move(MOVES[what].map((step) => step * (far ? FAR_PX : 1)), corner);
  }

  _move([x, y], isCorner) {
    const [left, top, right, bottom] = this.box;
    const next = this._stage.within(isCorner
      ? [left, top, Math.max(left + LEAST_PX, right + x), Math.max(top + LEAST_PX, bottom + y)]
      : [left + x, top + y, right + x, bottom + y]);
    if (isCorner || (next[2] - next[0] === right - left && next[3] - next[1] === bottom - top)) this._show(next);
  }

  _end(isKept) {
    const { box } = this;
    this._show(null);
    this._bars(false);
    if (isKept) this._drawn(box);
  }

  _show(box) {
    this.box = this._stage.draft = box;
    this._stage.draw();
    if (box) byId("told").textContent = `Box: ${box[2] - box[0]} x ${box[3] - box[1]} pixels at ${box[0]}, ${box[1]}`;
  }

  _bars(isDrawing) {
    byId("bar").hidden = isDrawing;
    byId("box-bar").hidden = !isDrawing;
  }
}

// Where a candidate is shown: the card in its window, the slices that are scrolled to, the ticks.

import { drawCard, drawLocators, shownColumns } from "./card.js";
import { CardStage } from "./card_stage.js";
import { byId } from "./dom.js";
import * as panel from "./panel.js";

const SLICES = 3;

export class Stage extends CardStage {
  constructor(...rooms) {
    super(...rooms);
    this._presetAt = Number(localStorage.getItem("hepatic-qa-window")) || 0;
    this._middle = 0;
  }

  get preset() {
    return this.presetIn(this.reading.layout);
  }

  /** The window in which a study is shown. @param {import("./api.js").Layout} layout */
  presetIn({ windows }) {
    return windows[this._presetAt % windows.length];
  }

  get _name() {
    return this.preset.name;
  }

  _begin() {
    this._middle = this._card.key;
  }

  /** @param {import("./reading.js").Reading} reading */
  show(reading) {
    this.reading = reading;
    panel.showWindow(this.preset, this._presetAt % reading.layout.windows.length, reading.layout.windows.length);
    byId("where").hidden = !reading.card;
    super.show(reading);
  }

  _paint(picture) {
    const room = byId("stage").getBoundingClientRect();
    drawCard(byId("card"), picture, this._card, {
      width: room.width, height: room.height, middle: this._middle, ticks: this._ticks, preset: this.preset, slices: SLICES,
    });
    drawLocators(byId("locator"), picture, this._card, 232);
  }

  /** @param {"up" | "down" | "key-slice"} what */
  scroll(what) {
    if (!this.reading.card) return;
    const known = this._card;
    const half = Math.floor(shownColumns(known, known.key, SLICES).length / 2);
    const wanted = what === "key-slice" ? known.key : this._middle + (what === "up" ? -1 : 1);
    this._middle = Math.max(half, Math.min(wanted, known.slices.length - 1 - half));
    this.draw();
  }

  /** Go to another window. @param {number} step */
  window(step) {
    const count = this.reading.layout.windows.length;
    this._presetAt = (this._presetAt + step + count) % count;
    localStorage.setItem("hepatic-qa-window", String(this._presetAt));
    panel.showWindow(this.preset, this._presetAt, count);
    panel.tell(`Window: ${this.preset.label}`);
  }
}

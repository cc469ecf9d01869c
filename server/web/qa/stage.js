// Where a candidate is shown: the card in its window, the slices that are scrolled to, the ticks.

import { drawCard, drawLocators, shownColumns } from "./card.js";
import { byId } from "./dom.js";
import * as panel from "./panel.js";

const SLICES = 3;
const AGAIN_MS = 2000;

export class Stage {
  /**
   * @param {import("./shelf.js").Shelf} shelf
   * @param {import("./look.js").Look} look
   * @param {(failure: Error) => void} failed told of pictures that could not be fetched
   */
  constructor(shelf, look, failed) {
    this._shelf = shelf;
    this._look = look;
    this._failed = failed;
    this._presetAt = Number(localStorage.getItem("hepatic-qa-window")) || 0;
    this._ticks = true;
    this._middle = 0;
    /** @type {?import("./reading.js").Reading} */
    this.reading = null;
  }

  get preset() {
    return this.presetIn(this.reading.layout);
  }

  /** The window in which a study is shown. @param {import("./api.js").Layout} layout */
  presetIn({ windows }) {
    return windows[this._presetAt % windows.length];
  }

  /** Show the card of a reading; nothing is drawn at its end. @param {import("./reading.js").Reading} reading */
  show(reading) {
    this.reading = reading;
    const { windows, cards } = reading.layout;
    panel.showWindow(this.preset, this._presetAt % windows.length, windows.length);
    const { card } = reading;
    byId("where").hidden = !card;
    if (!card) {
      if (!this._look.at || this._look.at.candidate) this._look.begin(null);
      byId("stage").ariaBusy = "false";
      this._look.measured();
      return;
    }
    if (this._look.at?.candidate !== card.candidate) {
      this._middle = cards[card.candidate].key;
      this._look.begin(card.candidate);
    }
    this.draw();
  }

  /** Draw the card that is shown; at once where its picture is there, else when it comes. */
  draw() {
    const { reading } = this;
    const shown = this._look.at;
    if (!reading?.card || !shown) return;
    const { candidate } = reading.card;
    const name = this.preset.name;
    const picture = this._shelf.cardNow(reading.layout, candidate, name);
    if (picture) {
      this._paint(picture);
      return;
    }
    if (!shown.ready) this._paint(null);
    this._shelf.card(reading.layout, candidate, name).then(
      (late) => this._look.at === shown && this.preset.name === name && this._paint(late),
      (failure) => {
        if (this._look.at !== shown) return;
        this._failed(failure);
        setTimeout(() => this._look.at === shown && this.draw(), AGAIN_MS);
      },
    );
  }

  _paint(picture) {
    const { reading } = this;
    const layout = reading.layout.cards[reading.card.candidate];
    const room = byId("stage").getBoundingClientRect();
    drawCard(byId("card"), picture, layout, {
      width: room.width, height: room.height, middle: this._middle, ticks: this._ticks, preset: this.preset, slices: SLICES,
    });
    drawLocators(byId("locator"), picture, layout, 232);
    byId("stage").ariaBusy = String(!picture);
    if (!picture) return;
    this._look.measured();
    if (!this._look.at.ready) this._look.ready();
  }

  /** @param {"up" | "down" | "key-slice"} what */
  scroll(what) {
    const { card, layout } = this.reading;
    if (!card) return;
    const known = layout.cards[card.candidate];
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

  /** Show or hide the corner ticks. */
  ticks() {
    this._ticks = !this._ticks;
    panel.press("ticks", this._ticks);
    this.draw();
  }
}

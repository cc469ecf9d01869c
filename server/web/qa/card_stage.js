// Where a card is shown, whatever is on it: begun with each candidate, drawn as soon as its picture is there.

import { byId } from "./dom.js";
import * as panel from "./panel.js";

const AGAIN_MS = 2000;

/** What a kind of card adds: ``_begin``, ``_name`` and ``_paint``; ``scroll`` and what else its keys do. */
export class CardStage {
  /**
   * @param {import("./shelf.js").Shelf} shelf
   * @param {import("./look.js").Look} look
   * @param {(failure: Error) => void} failed told of pictures that could not be fetched
   */
  constructor(shelf, look, failed) {
    this._shelf = shelf;
    this._look = look;
    this._failed = failed;
    this._ticks = true;
    /** @type {?import("./reading.js").Reading} */
    this.reading = null;
  }

  /** What the layout says of the card that is shown. */
  get _card() {
    return this.reading.layout.cards[this.reading.card.candidate];
  }

  /** Show the card of a reading; nothing is drawn at its end. @param {import("./reading.js").Reading} reading */
  show(reading) {
    this.reading = reading;
    const { card } = reading;
    if (!card) {
      if (!this._look.at || this._look.at.candidate) this._look.begin(null);
      byId("stage").ariaBusy = "false";
      this._look.measured();
      return;
    }
    if (this._look.at?.candidate !== card.candidate) {
      this._begin();
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
    const name = this._name;
    const picture = this._shelf.cardNow(reading.layout, candidate, name);
    if (picture) {
      this._drawn(picture);
      return;
    }
    if (!shown.ready) this._drawn(null);
    this._shelf.card(reading.layout, candidate, name).then(
      (late) => this._look.at === shown && this._name === name && this._drawn(late),
      (failure) => {
        if (this._look.at !== shown) return;
        this._failed(failure);
        setTimeout(() => this._look.at === shown && this.draw(), AGAIN_MS);
      },
    );
  }

  _drawn(picture) {
    this._paint(picture);
    byId("stage").ariaBusy = String(!picture);
    if (!picture) return;
    this._look.measured();
    if (!this._look.at.ready) this._look.ready();
  }

  /** Show or hide the corner ticks. */
  ticks() {
    this._ticks = !this._ticks;
    panel.press("ticks", this._ticks);
    this.draw();
  }
}

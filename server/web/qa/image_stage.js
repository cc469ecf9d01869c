// Where an image is shown that is to be classified: a still, the key frames of a cine, or the frame that is scrolled to.

import { drawTicks, sized, words } from "./card.js";
import { byId } from "./dom.js";
import * as panel from "./panel.js";

const AGAIN_MS = 2000;
const FAINT = "#aab5bb";
const AHEAD = 2;
const STRIP = 26; // above a picture, for its name: scanners write into theirs
/** The name under which the shelf keeps cards of images. */
export const KEYS = "keys";

export class ImageStage {
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
    /** @type {?number} the frame that is shown; null for the card */
    this._frame = null;
    /** @type {?import("./reading.js").Reading} */
    this.reading = null;
  }

  get _card() {
    return this.reading.layout.cards[this.reading.card.candidate];
  }

  /** Show the image of a reading; nothing is drawn at its end. @param {import("./reading.js").Reading} reading */
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
      this._frame = null;
      this._look.begin(card.candidate);
    }
    this.draw();
  }

  /** Draw what is shown; at once where its picture is there, else when it comes. */
  draw() {
    const { reading } = this;
    const shown = this._look.at;
    if (!reading?.card || !shown) return;
    const { candidate } = reading.card;
    const frame = this._frame;
    const name = frame === null ? KEYS : `frame ${frame}`;
    const picture = this._shelf.cardNow(reading.layout, candidate, name);
    if (picture) {
      this._paint(picture);
      return;
    }
    if (!shown.ready) this._paint(null);
    this._shelf.card(reading.layout, candidate, name).then(
      (late) => this._look.at === shown && this._frame === frame && this._paint(late),
      (failure) => {
        if (this._look.at !== shown) return;
        this._failed(failure);
        setTimeout(() => this._look.at === shown && this.draw(), AGAIN_MS);
      },
    );
  }

  _paint(picture) {
    const card = this._card;
    const room = byId("stage").getBoundingClientRect();
    const isGrid = this._frame === null && card.frames > 1;
    const columns = isGrid ? card.columns : 1;
    const rows = isGrid ? Math.ceil(card.keys.length / columns) : 1;
    const [wide, high] = card.size;
    const strip = card.frames > 1 ? STRIP : 0;
    const scale = Math.min(room.width / (columns * wide), (room.height - rows * strip) / (rows * high));
    const [width, height] = [Math.floor(columns * wide * scale), Math.floor(rows * (high * scale + strip))];
    const context = sized(byId("card"), width, height);
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    byId("stage").ariaBusy = String(!picture);
    if (!picture) return;
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    const tiles = isGrid ? card.keys : [{ name: this._told(card), frame: this._frame ?? 0, time_s: null }];
    tiles.forEach((tile, place) => {
      const [x, y] = [(place % columns) * wide * scale, Math.floor(place / columns) * (high * scale + strip) + strip];
      const source = [picture.width / columns, picture.height / rows];
      context.drawImage(picture, (place % columns) * source[0], Math.floor(place / columns) * source[1], ...source, x, y, wide * scale, high * scale);
      const isThere = tile.frame !== null;
      if (tile.name) words(context, isThere ? `${tile.name}${seconds(tile.time_s)}` : tile.name, x + 8, y - 8, { size: 14 });
      if (!isThere) words(context, "not recorded", x + (wide * scale) / 2, y + (high * scale) / 2, { colour: FAINT, align: "center" });
      else if (this._ticks) for (const box of card.boxes) drawTicks(context, box, x, y, scale, [wide * scale, high * scale], true);
    });
    this._look.measured();
    if (!this._look.at.ready) this._look.ready();
  }

  _told(card) {
    if (card.frames === 1) return "";
    const onset = card.keys[0].time_s === null || card.keys[0].frame === null ? null : card.times_s[card.keys[0].frame];
    const time = onset === null ? "" : seconds(card.times_s[this._frame] - onset);
    return `frame ${this._frame + 1} of ${card.frames}${time}`;
  }

  /** Go through the frames of a cine; ``key-slice`` shows its key frames again. @param {"up" | "down" | "key-slice"} what */
  scroll(what) {
    if (!this.reading.card || this._card.frames === 1) return;
    const { keys, frames } = this._card;
    const step = what === "up" ? -1 : 1;
    if (what === "key-slice") this._frame = null;
    else if (this._frame === null) this._frame = keys[0].frame ?? 0;
    else this._frame = Math.max(0, Math.min(this._frame + step, frames - 1));
    this.draw();
    if (this._frame === null) return;
    const { layout, card } = this.reading;
    for (let ahead = 1; ahead <= AHEAD; ahead += 1) {
      const next = this._frame + step * ahead;
      if (next >= 0 && next < frames) this._shelf.card(layout, card.candidate, `frame ${next}`).catch(() => {});
    }
  }

  /** Images have no windows. */
  window() {}

  /** Show or hide the corner ticks. */
  ticks() {
    this._ticks = !this._ticks;
    panel.press("ticks", this._ticks);
    this.draw();
  }
}

const seconds = (time) => (!time ? "" : `, ${time < 0 ? "−" : "+"}${Math.abs(time).toFixed(1)} s`);

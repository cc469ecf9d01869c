// Where an image is shown that is to be classified: a still, the key frames of a cine, or the frame that is scrolled to.

import { drawTicks, sized, words } from "./card.js";
import { CardStage } from "./card_stage.js";
import { byId } from "./dom.js";

const FAINT = "#aab5bb";
const AHEAD = 2;
const STRIP = 26; // above a picture, for its name: scanners write into theirs
/** The name under which the shelf keeps cards of images. */
export const KEYS = "keys";

export class ImageStage extends CardStage {
  constructor(...rooms) {
    super(...rooms);
    /** @type {?number} the frame that is shown; null for the card */
    this._frame = null;
  }

  get _name() {
    return this._frame === null ? KEYS : `frame ${this._frame}`;
  }

  _begin() {
    this._frame = null;
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
}

const seconds = (time) => (!time ? "" : `, ${time < 0 ? "−" : "+"}${Math.abs(time).toFixed(1)} s`);

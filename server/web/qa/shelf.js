// Pictures and studies that are wanted soon. Packed pictures are kept for a few studies, unpacked ones for a few cards.

import * as api from "./api.js";

/** @typedef {import("./api.js").Layout} Layout */

const PACKED_STUDIES = 6;
const UNPACKED = 6;
const AT_ONCE = 2;

/** Waits for its turn: a few fetches at a time, the most wanted first. */
class Turns {
  constructor() {
    this._waiting = [];
    this._running = 0;
  }

  /** @template T @param {() => Promise<T>} work @param {boolean} soon @returns {Promise<T>} */
  take(work, soon) {
    return new Promise((resolve, reject) => {
      const one = () => work().then(resolve, reject).finally(() => {
        this._running -= 1;
        this._next();
      });
      if (soon) this._waiting.unshift(one);
      else this._waiting.push(one);
      this._next();
    });
  }

  _next() {
    while (this._running < AT_ONCE && this._waiting.length) {
      this._running += 1;
      this._waiting.shift()();
    }
  }
}

export class Shelf {
  constructor() {
    this._turns = new Turns();
    /** @type {Map<string, Map<string, Promise<Blob>>>} packed, by study and then by picture */
    this._packed = new Map();
    /** @type {Map<string, Promise<ImageBitmap>>} */
    this._unpacked = new Map();
    /** @type {Map<string, Promise<Layout>>} */
    this._layouts = new Map();
    this._ready = new Map();
  }

  /**
   * The layout of a study as it was prepared for some proposal, by default the last one.
   * @param {string} study @param {string} [content] of that preparation
   * @param {string[]} [candidates] that must be in it: one that was fetched before they were proposed is fetched again
   */
  async layout(study, content = "", candidates = []) {
    const key = `${study} ${content}`;
    const known = await this._layouts.get(key)?.catch(() => null);
    if (known && candidates.every((candidate) => candidate in known.cards)) return known;
    const asked = api.layout(study, content);
    this._layouts.set(key, asked);
    const told = await asked.catch((failure) => {
      this._layouts.delete(key);
      throw failure;
    });
    this._layouts.set(`${study} ${told.content}`, asked);
    return told;
  }

  /** Fetch a picture without unpacking it. @param {Layout} layout @returns {Promise<Blob>} */
  fetch(layout, candidate, preset, soon = false) {
    const name = `${layout.content} ${candidate} ${preset}`;
    return this._blob(layout.study, name, () => api.card(layout, candidate, preset), soon);
  }

  /** The picture of a card, to be drawn. @param {Layout} layout @returns {Promise<ImageBitmap>} */
  card(layout, candidate, preset) {
    return this._bitmap(`${layout.study} ${layout.content} ${candidate} ${preset}`, () => this.fetch(layout, candidate, preset, true));
  }

  /** The picture of a card if it is unpacked already. @param {Layout} layout @returns {?ImageBitmap} */
  cardNow(layout, candidate, preset) {
    return this._ready.get(`${layout.study} ${layout.content} ${candidate} ${preset}`) || null;
  }

  /** Whole slices of a phase. @param {Layout} layout @returns {Promise<ImageBitmap>} */
  stack(layout, phase, preset, first) {
    const name = `${layout.content} ${phase} ${preset} ${first}`;
    return this._bitmap(`${layout.study} ${name}`, () =>
      this._blob(layout.study, name, () => api.stack(layout, phase, preset, first), true));
  }

  _blob(study, name, fetched, soon) {
    let pictures = this._packed.get(study);
    if (pictures) this._packed.delete(study);
    else pictures = new Map();
    this._packed.set(study, pictures);
    while (this._packed.size > PACKED_STUDIES) this._packed.delete(this._packed.keys().next().value);
    if (!pictures.has(name)) {
      const asked = this._turns.take(fetched, soon);
      asked.catch(() => pictures.delete(name));
      pictures.set(name, asked);
    }
    return pictures.get(name);
  }

  _bitmap(key, packed) {
    if (this._unpacked.has(key)) {
      const known = this._unpacked.get(key);
      this._unpacked.delete(key);
      this._unpacked.set(key, known);
      return known;
    }
    const asked = packed().then((blob) => createImageBitmap(blob)).then((bitmap) => {
      if (this._unpacked.has(key)) this._ready.set(key, bitmap);
      return bitmap;
    });
    asked.catch(() => this._unpacked.delete(key));
    this._unpacked.set(key, asked);
    while (this._unpacked.size > UNPACKED) {
      const oldest = this._unpacked.keys().next().value;
      this._unpacked.delete(oldest);
      this._ready.delete(oldest);
    }
    return asked;
  }
}

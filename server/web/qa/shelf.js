// Pictures and studies that are wanted soon. Packed pictures are kept for a few studies, unpacked ones for a few cards.

import * as api from "./api.js";

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
    /** @type {Map<string, Promise<import("./api.js").Layout>>} */
    this._layouts = new Map();
    this._ready = new Map();
  }

  /** @param {string} study */
  layout(study) {
    if (!this._layouts.has(study)) {
      const asked = api.layout(study);
      asked.catch(() => this._layouts.delete(study));
      this._layouts.set(study, asked);
    }
    return this._layouts.get(study);
  }

  /** Fetch a picture without unpacking it. @returns {Promise<Blob>} */
  fetch(study, candidate, preset, soon = false) {
    const name = `${candidate} ${preset}`;
    return this._blob(study, name, () => api.card(study, candidate, preset), soon);
  }

  /** The picture of a card, to be drawn. @returns {Promise<ImageBitmap>} */
  card(study, candidate, preset) {
    return this._bitmap(`${study} ${candidate} ${preset}`, () => this.fetch(study, candidate, preset, true));
  }

  /** The picture of a card if it is unpacked already. @returns {?ImageBitmap} */
  cardNow(study, candidate, preset) {
    return this._ready.get(`${study} ${candidate} ${preset}`) || null;
  }

  /** Whole slices of a phase. @returns {Promise<ImageBitmap>} */
  stack(study, phase, preset, first) {
    const name = `${phase} ${preset} ${first}`;
    return this._bitmap(`${study} ${name}`, () =>
      this._blob(study, name, () => api.stack(study, phase, preset, first), true));
  }

  /** Forget a study's layout, such as after a new proposal. @param {string} study */
  forget(study) {
    this._layouts.delete(study);
    this._packed.delete(study);
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

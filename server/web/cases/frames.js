// Frames of a cine as pictures: fetched ahead of where the reader is, and not more of them kept than needed.

import { framePicture } from "./api.js";

const KEPT = 120;
const AHEAD = 6;

export class Frames {
  /** @param {string} image @param {number} count */
  constructor(image, count) {
    this._image = image;
    this.count = count;
    /** @type {Map<number, Promise<ImageBitmap>>} */
    this._kept = new Map();
  }

  /** @param {number} frame @returns {Promise<ImageBitmap>} */
  get(frame) {
    const kept = this._kept.get(frame);
    this._kept.delete(frame);
    const picture = kept || framePicture(this._image, frame);
    this._kept.set(frame, picture); // the last one asked for goes last
    picture.catch(() => this._kept.delete(frame));
    if (this._kept.size > KEPT) {
      const [oldest, dropped] = this._kept.entries().next().value;
      this._kept.delete(oldest);
      dropped.then((bitmap) => bitmap.close(), () => {});
    }
    return picture;
  }

  /** @param {number} frame @param {number} step */
  ahead(frame, step) {
    for (let n = 1; n <= AHEAD; n += 1) {
      const wanted = frame + n * step;
      if (wanted >= 0 && wanted < this.count && !this._kept.has(wanted)) this.get(wanted).catch(() => {});
    }
  }
}

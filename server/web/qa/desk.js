// Which study is read, which comes next, and who holds it: leases are taken one study ahead, and renewed.

import * as api from "./api.js";
import { Reading } from "./reading.js";

const RENEW_SHARE = 1 / 3;

export class Desk {
  /**
   * @param {import("./shelf.js").Shelf} shelf
   * @param {() => Promise<void>} said resolves when the server knows what was done, as far as it can be reached
   * @param {(study: string) => void} lost told when another reader took a study
   * @param {(study: string, etag: string) => void} saw told the tag of what the server says of a study
   */
  constructor(shelf, said, lost, saw) {
    this.shelf = shelf;
    this._said = said;
    this._lost = lost;
    this._saw = saw;
    /** @type {?Reading} */
    this.reading = null;
    /** @type {Reading[]} begun and left for an undo: they come next */
    this._laid = [];
    /** @type {?Promise<?Reading>} */
    this._ahead = null;
    this._next = [];
    /** @type {Set<string>} read in this sitting: not taken ahead; the server may well give one again */
    this._seen = new Set();
    this._timer = 0;
    addEventListener("pagehide", () => this._leave());
  }

  /** Go to a study: the one that is named, else the one that was laid aside, the one taken ahead, or the server's next. */
  async open(study) {
    const reading = study ? await this._take(study) : await this._following();
    this.reading = reading;
    if (reading) {
      this._keepUp();
      this._ahead ??= this._takeAhead(reading);
    }
    return reading;
  }

  /** Go back to a reading, to take something back in it. @param {string} study @param {?Reading} known of this sitting */
  async back(study, known) {
    if (this.reading && (this.reading === known || (!known && this.reading.study === study))) return this.reading;
    if (this.reading && !this.reading.finished) this._laid.push(this.reading);
    const reading = known || (await this._take(study));
    this._laid = this._laid.filter((one) => one !== reading);
    this.reading = reading;
    this._keepUp();
    return reading;
  }

  /** Take a study again that was given back by finishing it. @param {Reading} reading */
  async hold(reading) {
    try {
      const leased = await api.lease(reading.study);
      if (leased) reading.lease = leased.lease;
    } catch (failure) {
      if (failure instanceof api.RefusedError) this._lost(reading.study);
    }
  }

  async _following() {
    const laid = this._laid.pop();
    if (laid) return laid;
    const ahead = this._ahead;
    this._ahead = null;
    const reading = ahead && (await ahead);
    if (reading && !reading.finished) return reading;
    await this._said(); // a study whose end the server has not heard of would be given again
    return this._take();
  }

  /** @param {string} [study] @returns {Promise<?Reading>} */
  async _take(study) {
    const leased = await api.lease(study);
    if (!leased) return null;
    this._next = leased.next;
    const { study_uid, content, cards } = leased.study;
    const layout = await this.shelf.layout(study_uid, content, cards.map((card) => card.candidate));
    const reading = new Reading(leased, layout);
    this._saw(study_uid, leased.etag);
    this._seen.add(reading.study);
    return reading;
  }

  async _takeAhead(current) {
    for (const study of [...this._next]) {
      if (study === current.study || this._seen.has(study)) continue;
      try {
        return await this._take(study);
      } catch (failure) {
        if (!(failure instanceof api.RefusedError)) return null;
      }
    }
    return null;
  }

  /** Studies whose pictures are wanted next, the most wanted first; the first one may be leased already. */
  async upcoming() {
    const ahead = this._ahead && (await this._ahead);
    const uids = this._next.filter((study) => !this._seen.has(study));
    return { ahead, studies: uids.slice(0, 2) };
  }

  _keepUp() {
    clearInterval(this._timer);
    const seconds = this.reading?.lease.seconds || 60;
    this._timer = setInterval(() => this._renew(), Math.max(1000, seconds * 1000 * RENEW_SHARE));
  }

  async _renew() {
    const ahead = this._ahead && (await this._ahead);
    for (const reading of [this.reading, ahead, ...this._laid]) {
      if (!reading || reading.finished) continue;
      try {
        Object.assign(reading.lease, await api.renew(reading.lease.id));
      } catch (failure) {
        if (!(failure instanceof api.RefusedError)) return; // offline: the lease lasts, or can be had again
        if (reading === ahead) this._ahead = null;
        else this._lost(reading.study);
      }
    }
  }

  /** Give back what was taken ahead and never shown; the study that is read is kept for whoever comes back. */
  _leave() {
    this._ahead?.then((reading) => reading && reading !== this.reading && api.release(reading.lease.id).catch(() => {}));
  }
}

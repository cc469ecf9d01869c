// What the reader did, step by step: each is noted in the reading and the outbox, and can be taken back.

import * as api from "./api.js";
import { clock } from "./look.js";

/** @typedef {{study: string, events: {id: string, type: string}[], back?: (() => void)[], reading?: import("./reading.js").Reading}} Step */

export class Steps {
  /** @param {import("./review_outbox.js").ReviewOutbox} outbox @param {import("./desk.js").Desk} desk */
  constructor(outbox, desk) {
    this._outbox = outbox;
    this._desk = desk;
    /** @type {Step[]} */
    this._steps = [];
  }

  /** Take over those that an earlier page left behind. */
  async load() {
    this._steps = await this._outbox.steps();
  }

  /** Note events of what was just done in a study. @param {import("./reading.js").Reading} reading @param {object[]} parts */
  add(reading, parts) {
    const events = parts.map((part) => ({ id: api.uuid(), study: reading.study, ...part }));
    const back = events.map((event) => reading.apply(event));
    events.forEach((event) => this._outbox.add(event));
    const step = { study: reading.study, events: events.map(({ id, type }) => ({ id, type })) };
    this._outbox.noteStep(step);
    this._steps.push({ ...step, back, reading });
  }

  /** What a page noted of a study no longer holds: its steps are taken back by the server. @param {{id: string, study: string}[]} givenUp */
  forget(givenUp) {
    const [ids, studies] = [new Set(givenUp.map(({ id }) => id)), new Set(givenUp.map(({ study }) => study))];
    this._steps = this._steps.filter((step) => !step.events.every(({ id }) => ids.has(id)))
      .map((step) => (studies.has(step.study) ? { study: step.study, events: step.events } : step));
  }

  /**
   * Take the last one back, in whichever study it was. @param {{device: string, at: number}} how
   * @returns {Promise<?string[]>} types of the events that were taken back; null where there is nothing
   */
  async takeBack(how) {
    const step = this._steps.pop();
    if (!step) return null;
    try {
      return await this._takeBack(step, how);
    } catch (failure) {
      this._steps.push(step);
      throw failure;
    }
  }

  async _takeBack(step, how) {
    const known = step.back;
    if (!known) await this._outbox.flush();
    const reading = await this._desk.back(step.study, step.reading);
    for (const { id } of step.events.slice().reverse()) {
      this._outbox.add({ id: api.uuid(), type: "undo", study: step.study, of: id, decided_at: clock(how.at), device: how.device });
    }
    this._outbox.dropStep();
    if (known) for (const back of known.reverse()) back();
    else { // done before this page was opened: what holds now is asked of the server
      await this._outbox.flush();
      await this._desk.open(reading.study);
    }
    const types = step.events.map(({ type }) => type);
    // finishing gave the study back, and the server gives it again only once it knows that the end was taken back
    if (types.includes("finish")) this._outbox.flush().then(() => this._desk.hold(reading));
    return types;
  }
}

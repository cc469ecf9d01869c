// What readers decide of studies, on its way to the server: a study is finished last, and other pages are compared with.

import { StaleError } from "./ask.js";
import { Outbox, done } from "./outbox.js";

/** @typedef {import("./api.js").ReviewEvent} ReviewEvent */

const STEPS_KEPT = 200;
const WHAT = { decide: "Verdict", primary: "Primary tumour", missed: "Missed lesion", box: "Box", finish: "End of the study", undo: "Undo" };
const NAMED = { true: "true lesion", false: "false", unsure: "unsure" };

/**
 * What another page said otherwise since, in words; empty where nothing is overwritten.
 * @param {ReviewEvent} event @param {ReviewEvent[]} others
 */
function clashing(event, others) {
  const last = others.findLast((other) => other.type === event.type && (event.type === "primary" || other.candidate === event.candidate));
  const when = last?.decided_at ? ` at ${new Date(last.decided_at * 1000).toLocaleTimeString()}` : "";
  const choice = "Try again to store this page's; give it up to keep the other's.";
  if (event.type === "decide" && last && last.verdict !== event.verdict) {
    return `“${NAMED[event.verdict]}” here, “${NAMED[last.verdict]}” on another page of yours${when}. ${choice}`;
  }
  if (event.type === "primary" && last && last.candidate !== (event.candidate || "")) {
    return `another primary tumour on another page of yours${when}. ${choice}`;
  }
  return "";
}

export class ReviewOutbox extends Outbox {
  static NAME = "hepatic-qa";
  static STORES = ["events", "steps"];

  constructor(...kept) {
    super(...kept);
    /** Told what other pages of the reader did in a study. @type {(text: string) => void} */
    this.elsewhere = () => {};
    /** Tells which candidate an event is about, in words. @type {(event: ReviewEvent) => string} */
    this.placeOf = () => "";
  }

  wordsOf(event) {
    return [WHAT[event.type] || event.type, this.placeOf(event)].filter(Boolean).join(" of ");
  }

  _about(event) {
    return event.study;
  }

  /** Nothing goes behind what was refused, and an end only once all before it is stored, for it closes the study. */
  _waits({ event, refused }, isFirst) {
    return Boolean(refused) || (event.type === "finish" && !isFirst);
  }

  async _failed(events, failure) {
    if (failure instanceof StaleError) await this._compare(events, failure);
    else await super._failed(events, failure);
  }

  /** Hold what another page of the reader has said otherwise since; the rest is sent again. */
  async _compare(events, { stored, etag }) {
    this.saw(events[0].study, etag);
    const undone = new Set(stored.map((other) => other.of));
    const others = stored.filter((other) => !other.tag && !undone.has(other.id));
    let told = "Another page of yours has decided in this study, too: reload this page to see it.";
    for (const event of events) {
      const clash = clashing(event, others);
      if (clash) await this._settle({ id: event.id, status: "refused", reason: (told = clash) });
    }
    this.elsewhere(told[0].toUpperCase() + told.slice(1));
  }

  /** What the reader did, for taking it back: also after the page was closed. @param {object} step */
  async noteStep(step) {
    if (!this._database) return;
    const steps = this._store("steps");
    const seq = await done(steps.put({ reader: this._reader, step }));
    steps.delete(IDBKeyRange.upperBound(seq - STEPS_KEPT));
  }

  /** @returns {Promise<object[]>} */
  async steps() {
    if (!this._database) return [];
    const all = await done(this._store("steps", "readonly").getAll());
    return all.filter((kept) => kept.reader === this._reader).map((kept) => kept.step);
  }

  /** Forget the last step. */
  async dropStep() {
    if (!this._database) return;
    const steps = this._store("steps");
    const cursors = steps.openCursor(null, "prev");
    cursors.onsuccess = () => {
      const cursor = cursors.result;
      if (!cursor) return;
      if (cursor.value.reader === this._reader) cursor.delete();
      else cursor.continue();
    };
  }
}

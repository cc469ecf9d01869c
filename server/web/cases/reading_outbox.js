// What readers say of images, on its way to the server, one after the other; and what holds once it is there.

import { Outbox } from "../../qa/web/outbox.js";
import { classWord, noteWord } from "./words.js";

/** @typedef {{id: string, type: "say" | "undo", image: string, patient: string, classes?: Object<string, string>, boxes?: import("./api.js").Box[], frames?: number[]}} ReadingEvent */

export class ReadingOutbox extends Outbox {
  static NAME = "hepatic-cases";
  static BATCH = 1;

  wordsOf({ type, patient, classes = {}, boxes }) {
    const said = Object.entries(classes).map(([note, name]) => (name ? `${noteWord(note)} ${classWord(name)}` : `${noteWord(note)} taken back`));
    if (boxes) said.push(boxes.length ? "boxes" : "no boxes");
    return `${patient}: ${type === "undo" ? "undo" : said.join(", ")}`;
  }

  /** What is still to be stored of an image. @param {string} image @returns {ReadingEvent[]} */
  of(image) {
    return this.pending.filter((event) => event.image === image);
  }

  /** Say something; what was refused and is said anew now is not asked about any more. @param {ReadingEvent} event */
  async say(event) {
    const notes = Object.keys(event.classes || {});
    const superseded = this.refused.filter(({ event: old }) => old.image === event.image
      && Object.keys(old.classes || {}).every((note) => notes.includes(note)) && (!old.boxes || event.boxes));
    this.add(event);
    for (const { event: old } of superseded) await this._settle({ id: old.id, status: "given up" });
    if (superseded.length) this.changed();
  }

  /** The reader is shown a version: what they say from now on, or try again, they say knowing it; what they said before, not. */
  saw(image, version) {
    this._seen.set(image, version);
    this._renew(image, version, (kept) => Boolean(kept.refused));
  }

  _stored(image, version) {
    super.saw(image, version);
  }

  _about(event) {
    return event.image;
  }
}

/** A reading with what is said of it since. @param {import("./api.js").Case["reading"]} reading @param {ReadingEvent[]} events */
export function followedBy(reading, events) {
  const states = [reading];
  for (const { type, classes = {}, boxes, frame = 0, frames = boxes?.map(() => frame) } of events) { // one frame for all: kept by an older page
    const last = states.at(-1);
    if (type === "say") states.push({ ...last, classes: { ...last.classes, ...classes }, ...(boxes && { boxes, beside: [], frames, unreadable: "" }) });
    else if (states.length > 1) states.pop();
  }
  return states.at(-1);
}

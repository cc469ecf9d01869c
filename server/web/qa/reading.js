// One study as its reader sees it: cards, verdicts, what comes next. No server, no screen: it only knows what was done.

/** @typedef {import("./api.js").Leased} Leased */
/** @typedef {import("./api.js").ReviewEvent} ReviewEvent */

export const VERDICTS = ["true", "false", "unsure"];

export class Reading {
  /** @param {Leased} leased @param {import("./api.js").Layout} layout */
  constructor(leased, layout) {
    this.study = leased.study.study_uid;
    this.lease = leased.lease;
    this.layout = layout;
    this.viewer = leased.viewer || null;
    this.warnings = leased.study.warnings || [];
    this.label = [leased.study.patient_id || leased.study.study_uid, leased.study.date].filter(Boolean).join(" · ");
    /** In whose frame the boxes lie. */
    this.image = leased.study.image_ids[leased.study.reference];
    /** Classes that can be named of its images; none where its candidates are lesions or not. @type {string[]} */
    this.classes = leased.study.asks === "classification" ? leased.study.classes : [];
    this.cards = leased.study.cards.slice().sort((a, b) => a.order - b.order);
    /** Which card is shown; as many as there are cards: the end of the study. */
    this.at = 0;
    /** @type {Map<string, string>} */
    this.verdicts = new Map();
    for (const card of this.cards) if (card.decision) this.verdicts.set(card.candidate, card.decision.verdict);
    const state = leased.study.state;
    this.primary = state.primary || null;
    this.missed = state.missed;
    /** Whether it was sent here to be boxed by hand. */
    this.toBox = leased.study.kind === "boxing";
    /** Whether that is because a reader has missed a lesion. */
    this.wasMissed = leased.study.boxing === "missed";
    /** @type {Map<string, import("./api.js").Box>} drawn by hand, by the event's id */
    this.boxes = new Map(state.boxes.map((drawn) => [drawn.event, drawn.box]));
    this.finished = state.finished;
    this.final = state.finalised;
    this.at = this.toBox ? this.cards.length : this.nextOpen(-1);
  }

  get isClasses() {
    return this.classes.length > 0;
  }

  /** What its cards are, in words. */
  get noun() {
    return this.isClasses ? "image" : "candidate";
  }

  /** The card that is shown, or null at the end. */
  get card() {
    return this.cards[this.at] || null;
  }

  get verdict() {
    return this.card ? this.verdicts.get(this.card.candidate) || null : null;
  }

  get decided() {
    return this.cards.filter((card) => this.verdicts.has(card.candidate)).length;
  }

  get isDecided() {
    return this.toBox || this.decided === this.cards.length;
  }

  /** Whether it was to be boxed by hand and no lesion is in it: to end like that, the reader has to say so. */
  get isEmpty() {
    return this.toBox && !this.missed && !this.boxes.size && ![...this.verdicts.values()].includes("true");
  }

  /** Which card an event is about, in words; empty where it is about none of these. @param {ReviewEvent} event */
  placeOf(event) {
    const place = this.cards.findIndex((card) => event.study === this.study && card.candidate === event.candidate);
    return place < 0 ? "" : `${this.noun} ${place + 1}`;
  }

  /** The next card without a verdict after a place, then from the start; the end if there is none. @param {number} after */
  nextOpen(after) {
    const count = this.cards.length;
    for (let step = 1; step <= count; step += 1) {
      const place = (after + step + count) % count;
      if (!this.verdicts.has(this.cards[place].candidate)) return place;
    }
    return count;
  }

  /** @param {number} place */
  go(place) {
    this.at = Math.max(0, Math.min(place, this.cards.length));
  }

  /**
   * Take in what the reader did, and return what takes it back.
   * @param {ReviewEvent} event
   * @returns {() => void}
   */
  apply(event) {
    const at = this.at;
    const back = this._apply(event);
    return () => {
      back();
      this.at = at;
    };
  }

  _apply(event) {
    if (event.type === "decide") {
      const before = this.verdicts.get(event.candidate);
      this.verdicts.set(event.candidate, event.verdict);
      return () => (before ? this.verdicts.set(event.candidate, before) : this.verdicts.delete(event.candidate));
    }
    if (event.type === "primary") {
      const before = this.primary;
      this.primary = event.candidate || null;
      return () => (this.primary = before);
    }
    if (event.type === "missed") {
      const before = this.missed;
      this.missed = true;
      return () => (this.missed = before);
    }
    if (event.type === "box") {
      this.boxes.set(event.id, event.box);
      return () => this.boxes.delete(event.id);
    }
    if (event.type === "finish" || event.type === "reopen") {
      const before = this.finished;
      this.finished = event.type === "finish";
      return () => (this.finished = before);
    }
    throw new Error(`no such event: ${event.type}`);
  }
}

// Events on their way to the server. Each is kept in this browser (IndexedDB) until the server has said that it has it.

import { OfflineError, StaleError } from "./api.js";

/** @typedef {import("./api.js").ReviewEvent} ReviewEvent */
/** @typedef {{seq: number, reader: string, event: ReviewEvent, refused: string, seen: string}} Kept seen: what was known of the study then */

const NAME = "hepatic-qa";
const BATCH = 50;
const WAITS_MS = [500, 1000, 2000, 4000, 8000];
const STEPS_KEPT = 200;

/** @param {IDBRequest} request @returns {Promise<any>} */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** @returns {Promise<?IDBDatabase>} null where the browser keeps nothing, as in some private windows */
async function opened() {
  try {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("events", { keyPath: "seq", autoIncrement: true });
      request.result.createObjectStore("steps", { keyPath: "seq", autoIncrement: true });
    };
    return await done(request);
  } catch {
    return null;
  }
}

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

export class Outbox {
  /**
   * @param {?IDBDatabase} database
   * @param {string} reader events of another reader of this browser stay where they are until that one is back
   * @param {typeof import("./api.js").send} send
   */
  constructor(database, reader, send) {
    this._database = database;
    this._reader = reader;
    this._send = send;
    /** @type {Map<string, Kept>} by the event's id, in their order */
    this._kept = new Map();
    this._flushing = null;
    this._timer = 0;
    this._attempt = 0;
    this._notBefore = 0;
    /** @type {Map<string, string>} the tag of what was seen of each study */
    this._seen = new Map();
    /** Why nothing can be sent now; empty while all is well. @type {"" | "offline" | "busy" | "full" | "failing"} */
    this.trouble = "";
    /** Called whenever what is pending or refused changes. */
    this.changed = () => {};
    /** Told what other pages of the reader did in a study. @type {(text: string) => void} */
    this.elsewhere = () => {};
    /** Tells which candidate an event is about, in words. @type {(event: ReviewEvent) => string} */
    this.placeOf = () => "";
    /** Told what was given up. @type {(events: ReviewEvent[]) => void} */
    this.gaveUp = () => {};
    addEventListener("online", () => this.flush());
  }

  /** Open it, with what an earlier page left behind. */
  static async open(reader, send) {
    const database = await opened();
    const outbox = new Outbox(database, reader, send);
    if (database) {
      for (const kept of await done(outbox._store("events", "readonly").getAll())) {
        if (kept.reader === reader) outbox._kept.set(kept.event.id, kept);
      }
    }
    return outbox;
  }

  get isDurable() {
    return this._database !== null;
  }

  get pending() {
    return [...this._kept.values()].filter((kept) => !kept.refused).map((kept) => kept.event);
  }

  get refused() {
    return [...this._kept.values()].filter((kept) => kept.refused);
  }

  /**
   * What may go now, all of one study: nothing of it behind what was refused, and an end only once all before it is
   * stored, for it closes the study.
   */
  get _sendable() {
    const [held, before] = [new Set(), new Set()];
    const events = [];
    for (const { event, refused } of this._kept.values()) {
      if (refused || (event.type === "finish" && before.has(event.study))) held.add(event.study);
      before.add(event.study);
      if (!held.has(event.study)) events.push(event);
    }
    return events.filter((event) => event.study === events[0].study).slice(0, BATCH);
  }

  /** Keep an event, and send it when that is possible. @param {ReviewEvent} event */
  add(event) {
    const kept = { reader: this._reader, event, refused: "", seen: this._seen.get(event.study) || "" };
    this._kept.set(event.id, kept);
    this.changed();
    kept.written = this._write(kept); // the page does not wait for the disk; whoever sends it does
    this._wake(0);
  }

  /** The page has seen a study as it is under this tag. @param {string} study @param {string} etag */
  saw(study, etag) {
    this._seen.set(study, etag);
    for (const kept of this._kept.values()) {
      if (kept.event.study !== study || kept.seen === etag) continue;
      kept.seen = etag;
      kept.written = kept.written?.then(() => this._kept.has(kept.event.id) && this._write(kept));
    }
  }

  async _write(kept) {
    if (!this._database) return;
    const { reader, event, refused, seen } = kept;
    try {
      kept.seq = await done(this._store("events").put({ reader, event, refused, seen, ...(kept.seq && { seq: kept.seq }) }));
    } catch {
      this._database = null; // the disk is full, or the browser forbids it: the badge says so
      this.changed();
    }
  }

  /** Send what is pending; resolves when the server has been asked once. */
  flush() {
    this._flushing ??= this._flush().finally(() => (this._flushing = null));
    return this._flushing;
  }

  async _flush() {
    clearTimeout(this._timer);
    if (performance.now() < this._notBefore) {
      this._wake(this._notBefore - performance.now());
      return;
    }
    let events = this._sendable;
    while (events.length) {
      try {
        await Promise.all(events.map((event) => this._kept.get(event.id)?.written));
        const { results, etag } = await this._send(events, this._kept.get(events[0].id)?.seen || "");
        this.trouble = "";
        this._attempt = 0;
        const answered = new Set(results.map((result) => result.id));
        for (const result of results) await this._settle(result);
        if (etag) this.saw(events[0].study, etag);
        if (!events.some((event) => answered.has(event.id))) throw new OfflineError("The server left the events out.");
      } catch (failure) {
        if (failure instanceof StaleError) await this._compare(events, failure);
        else if (!(failure instanceof OfflineError)) {
          for (const event of events) await this._settle({ id: event.id, status: "refused", reason: failure.message });
        } else {
          this.trouble = failure.why;
          this._notBefore = performance.now() + (failure.after || 0);
          this.changed();
          this._wake(WAITS_MS[Math.min(this._attempt++, WAITS_MS.length - 1)]);
          return;
        }
      }
      this.changed();
      events = this._sendable;
    }
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

  async _settle({ id, status, reason }) {
    const kept = this._kept.get(id);
    if (!kept) return;
    if (status === "refused") {
      kept.refused = reason || "The server refused it.";
      await this._write(kept);
    } else {
      this._kept.delete(id);
      // one that stays is sent again by the next page, and the server knows it by its id
      if (this._database && kept.seq) await done(this._store("events").delete(kept.seq)).catch(() => {});
    }
  }

  /** Try those again that were refused. */
  async retry() {
    for (const kept of this.refused) {
      kept.refused = "";
      await this._write(kept);
    }
    this.changed();
    return this.flush();
  }

  /** Give up those that were refused. */
  async discard() {
    const events = this.refused.map((kept) => kept.event);
    for (const { id } of events) await this._settle({ id, status: "stored" });
    this.changed();
    await this.flush();
    this.gaveUp(events);
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

  _store(name, mode = "readwrite") {
    return this._database.transaction(name, mode, { durability: "strict" }).objectStore(name);
  }

  _wake(after) {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this.flush(), after);
  }
}

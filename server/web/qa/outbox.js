// Events on their way to the server. Each is kept in this browser (IndexedDB) until the server has said that it has it.

import { OfflineError } from "./ask.js";

/** @typedef {{id: string, type: string}} Event */
/** @typedef {{seq: number, reader: string, event: Event, refused: string, seen: string}} Kept seen: what was known then of what it is about */

const WAITS_MS = [500, 1000, 2000, 4000, 8000];

/** @param {IDBRequest} request @returns {Promise<any>} */
export const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** @param {string} name @param {string[]} stores @returns {Promise<?IDBDatabase>} null where the browser keeps nothing, as in some private windows */
async function opened(name, stores) {
  try {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      for (const store of stores) request.result.createObjectStore(store, { keyPath: "seq", autoIncrement: true });
    };
    return await done(request);
  } catch {
    return null;
  }
}

/** What a kind of events adds: where it is kept, what each is about, and ``wordsOf`` it. */
export class Outbox {
  static NAME = "";
  static STORES = ["events"];
  /** Events that are sent at once. */
  static BATCH = 50;

  /**
   * @param {?IDBDatabase} database
   * @param {string} reader events of another reader of this browser stay where they are until that one is back
   * @param {(events: Event[], seen: string) => Promise<{results: {id: string, status: string, reason?: string}[], etag: string}>} send
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
    /** @type {Map<string, string>} the tag of what was seen of each thing that events are about */
    this._seen = new Map();
    /** Why nothing can be sent now; empty while all is well. @type {"" | "offline" | "busy" | "full" | "failing"} */
    this.trouble = "";
    /** Called whenever what is pending or refused changes. */
    this.changed = () => {};
    /** Told what became of an event: stored, dropped or refused, and why. @type {(event: Event, status: string, reason?: string) => void} */
    this.settled = () => {};
    /** Told what was given up. @type {(events: Event[]) => void} */
    this.gaveUp = () => {};
    addEventListener("online", () => this.flush());
  }

  /** Open it, with what an earlier page left behind. */
  static async open(reader, send) {
    const database = await opened(this.NAME, this.STORES);
    const outbox = new this(database, reader, send);
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

  /** What may go now, all about the same. */
  get _sendable() {
    const [held, before] = [new Set(), new Set()];
    const events = [];
    for (const kept of this._kept.values()) {
      const about = this._about(kept.event);
      if (this._waits(kept, !before.has(about))) held.add(about);
      before.add(about);
      if (!kept.refused && !held.has(about)) events.push(kept.event);
    }
    return events.filter((event) => this._about(event) === this._about(events[0])).slice(0, this.constructor.BATCH);
  }

  /** Whether this and all behind it that is about the same has to wait. @param {Kept} kept @param {boolean} isFirst of these */
  _waits() {
    return false;
  }

  /** Keep an event, and send it when that is possible. @param {Event} event */
  add(event) {
    const kept = { reader: this._reader, event, refused: "", seen: this._seen.get(this._about(event)) || "" };
    this._kept.set(event.id, kept);
    this.changed();
    kept.written = this._write(kept); // the page does not wait for the disk; whoever sends it does
    this._wake(0);
  }

  /** The page has seen what events are about as it is under this tag. @param {string} about @param {string} etag */
  saw(about, etag) {
    this._seen.set(about, etag);
    this._renew(about, etag, () => true);
  }

  /** Let events that are kept know of a tag. */
  _renew(about, etag, isMeant) {
    for (const kept of this._kept.values()) {
      if (this._about(kept.event) !== about || kept.seen === etag || !isMeant(kept)) continue;
      kept.seen = etag;
      kept.written = kept.written?.then(() => this._kept.has(kept.event.id) && this._write(kept));
    }
  }

  async _write(kept) {
    if (!this._database) return;
    const { reader, event, refused, seen } = kept;
    try {
      const store = this._store("events");
      const written = done(store.put({ reader, event, refused, seen, ...(kept.seq && { seq: kept.seq }) }));
      store.transaction.commit(); // a page that is left now must not take it along
      kept.seq = await written;
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
        if (etag) this._stored(this._about(events[0]), etag);
        if (!events.some((event) => answered.has(event.id))) throw new OfflineError("The server left the events out.");
      } catch (failure) {
        if (!(failure instanceof OfflineError)) await this._failed(events, failure);
        else {
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

  /** The server has taken events; what they are about is now under this tag. */
  _stored(about, etag) {
    this.saw(about, etag);
  }

  /** The server said no. @param {Event[]} events @param {Error} failure */
  async _failed(events, failure) {
    for (const event of events) await this._settle({ id: event.id, status: "refused", reason: failure.message });
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
    this.settled(kept.event, status, reason);
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
    for (const { id } of events) await this._settle({ id, status: "given up" });
    this.changed();
    await this.flush();
    this.gaveUp(events);
  }

  _store(name, mode = "readwrite") {
    return this._database.transaction(name, mode, { durability: "strict" }).objectStore(name);
  }

  _wake(after) {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this.flush(), after);
  }
}

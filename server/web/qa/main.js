// The page on which a reader judges candidates: it shows one card at a time and passes on what is done with it.

import * as api from "./api.js";
import { Boxing } from "./boxing.js";
import { drawCard, drawLocators, phaseName, shownColumns } from "./card.js";
import { Desk } from "./desk.js";
import { listen } from "./keys.js";
import { Outbox } from "./outbox.js";
import * as panel from "./panel.js";
import { VERDICTS } from "./reading.js";
import { Shelf } from "./shelf.js";

const DEAD_MS = 250; // after a card has come up, what was meant for the one before it is let go
const AFTER_MS = 40;
const SLICES = 3;
const CARDS_UNPACKED = 2;

const byId = (id) => document.getElementById(id);
/** Milliseconds since 1970, of a moment on the page's own clock. */
const clock = (moment) => Math.round(performance.timeOrigin + moment);

class Page {
  constructor() {
    this.shelf = new Shelf();
    this.desk = new Desk(this.shelf, () => this.outbox.flush(), (study) => this._taken(study));
    this.presetAt = Number(localStorage.getItem("hepatic-qa-window")) || 0;
    this.ticks = true;
    this.middle = 0;
    this.shown = null;
    this.timed = null;
    /** @type {{study: string, events: {id: string, type: string}[], back?: (() => void)[], reading?: import("./reading.js").Reading}[]} */
    this.steps = [];
    this.sitting = { studies: 0, seconds: [] };
    this.busy = false;
    this.boxing = new Boxing(byId("slice"), this.shelf, {
      save: (box) => this._drawn(box),
      closed: () => this._boxed(),
      told: (text) => (byId("box-hint").textContent = text),
    });
    listen({ isBoxing: () => this.boxing.isOpen, act: (what, how) => this.act(what, how) });
    byId("card").addEventListener("wheel", (event) => this._wheel(event), { passive: false });
    byId("studies-open").addEventListener("click", () => this._studies());
    addEventListener("resize", () => this._draw());
    document.addEventListener("visibilitychange", () => this._seen());
  }

  get reading() {
    return this.desk.reading;
  }

  get preset() {
    const windows = this.reading.layout.windows;
    return windows[this.presetAt % windows.length];
  }

  async begin() {
    try {
      const { reader } = await api.queue();
      this.outbox = await Outbox.open(reader, api.send);
      this.outbox.changed = () => panel.showBadge(this.outbox);
      this.steps = await this.outbox.steps();
      await this.outbox.flush(); // first: what the server then tells is what the reader had done
      panel.showBadge(this.outbox);
      await this.open(new URLSearchParams(location.search).get("study") || undefined);
    } catch (failure) {
      this._failed(failure);
      setTimeout(() => this.begin(), 5000);
    }
  }

  /** @param {string} [study] */
  async open(study) {
    this.busy = true;
    try {
      const reading = await this.desk.open(study);
      if (!reading) this._nothingLeft();
      else {
        this.show();
        if (reading.toBox && !reading.boxes.size) this._box();
      }
    } catch (failure) {
      this._failed(failure);
      panel.showNote({
        title: "The study could not be opened", lines: [failure.message], actions: [["again", "Try again"]],
        links: [["qa", "The next study"]],
      });
      this.again = () => this.open(study);
    } finally {
      this.busy = false;
    }
  }

  /** Show the card of the reading, or its end. */
  show() {
    const { reading } = this;
    panel.showReading(reading, (place) => this._go(place));
    panel.showWindow(this.preset, this.presetAt % reading.layout.windows.length, reading.layout.windows.length);
    panel.showSitting(this.sitting);
    const { card } = reading;
    byId("where").hidden = !card;
    if (!card) {
      if (!this.shown || this.shown.candidate) this.shown = { candidate: null, since: performance.now(), hidden: 0, ready: true };
      byId("stage").ariaBusy = "false";
      panel.showNote(panel.endOf(reading));
      this._measured();
      panel.tell(`All candidates of this study are decided. ${reading.missed ? "A lesion was missed." : ""} Space finishes it.`);
    } else {
      panel.showNote(null);
      if (this.shown?.candidate !== card.candidate) {
        this.middle = reading.layout.cards[card.candidate].key;
        this.shown = { candidate: card.candidate, since: performance.now(), hidden: 0, ready: false };
      }
      this._draw();
      this._announce();
    }
    clearTimeout(this.fetching);
    this.fetching = setTimeout(() => this._prefetch(), AFTER_MS); // not while the card itself is being drawn
  }

  _announce() {
    const { reading } = this;
    const layout = reading.layout.cards[reading.card.candidate];
    const missing = layout.missing.map((phase) => phaseName(phase).toLowerCase());
    const text = `Candidate ${reading.at + 1} of ${reading.cards.length}, ${panel.said(reading.verdict)}.` +
      (missing.length ? ` Not scanned: ${missing.join(", ")}.` : "");
    byId("card").setAttribute("aria-label", text);
    panel.tell(text);
  }

  /** Draw the card that is shown; at once where its picture is there, else when it comes. */
  _draw() {
    const { reading, shown } = this;
    if (this.boxing.isOpen) {
      this.boxing.draw();
      return;
    }
    if (!reading?.card || !shown) return;
    const { candidate } = reading.card;
    const name = this.preset.name;
    const picture = this.shelf.cardNow(reading.layout, candidate, name);
    if (picture) {
      this._paint(picture);
      return;
    }
    if (!shown.ready) this._paint(null);
    this.shelf.card(reading.layout, candidate, name).then(
      (late) => this.shown === shown && this.preset.name === name && this._paint(late),
      (failure) => {
        if (this.shown !== shown) return;
        this._failed(failure);
        setTimeout(() => this.shown === shown && this._draw(), 2000);
      },
    );
  }

  _paint(picture) {
    const { reading } = this;
    const layout = reading.layout.cards[reading.card.candidate];
    const room = byId("stage").getBoundingClientRect();
    drawCard(byId("card"), picture, layout, {
      width: room.width, height: room.height, middle: this.middle, ticks: this.ticks, preset: this.preset, slices: SLICES,
    });
    drawLocators(byId("locator"), picture, layout, 232);
    byId("stage").ariaBusy = String(!picture);
    if (picture) this._measured();
    if (picture && !this.shown.ready) {
      this.shown.ready = true;
      this.shown.since = performance.now();
      this.shown.hidden = 0;
      this.shown.away = document.hidden ? this.shown.since : null;
    }
  }

  /** Fetch what comes next: this study's cards, then those of the studies after it. */
  async _prefetch() {
    const { reading } = this;
    if (!reading) return;
    const name = this.preset.name;
    const rest = reading.cards.filter((card) => !reading.verdicts.has(card.candidate) && card !== reading.card);
    const place = (card) => (reading.cards.indexOf(card) - reading.at + reading.cards.length) % reading.cards.length;
    rest.sort((a, b) => place(a) - place(b));
    const quiet = () => {};
    rest.slice(0, CARDS_UNPACKED).forEach((card) => this.shelf.card(reading.layout, card.candidate, name).catch(quiet));
    rest.slice(CARDS_UNPACKED).forEach((card) => this.shelf.fetch(reading.layout, card.candidate, name).catch(quiet));
    const { ahead, studies } = await this.desk.upcoming();
    if (ahead && ahead !== reading) {
      const open = ahead.cards.filter((card) => !ahead.verdicts.has(card.candidate));
      if (rest.length <= 1 && open.length) this.shelf.card(ahead.layout, open[0].candidate, name).catch(quiet);
      open.forEach((card) => this.shelf.fetch(ahead.layout, card.candidate, name).catch(quiet));
    }
    for (const study of studies) {
      const layout = await this.shelf.layout(study).catch(() => null);
      for (const uid of layout ? Object.keys(layout.cards) : []) this.shelf.fetch(layout, uid, name).catch(quiet);
    }
  }

  /** @param {string} what @param {{device: string, at: number, far: boolean}} how */
  act(what, how) {
    if (what === "help") byId("help").showModal();
    else if (what === "again") this.again?.();
    else if (this.boxing.isOpen) this._actBoxing(what, how);
    else if (this.reading && !this.busy) {
      if (["up", "down", "key-slice"].includes(what)) this._scroll(what);
      else if (what === "window" || what === "window-back") this._window(what === "window" ? 1 : -1);
      else if (what === "ticks") this._ticks();
      else if (how.at - this.shown.since >= DEAD_MS) this._decide(what, how);
    } else if (what === "undo" && !this.busy) this._undo(how);
  }

  _decide(what, how) {
    const { reading } = this;
    if (what === "undo") this._undo(how);
    else if (what === "card-back") this._go(reading.at - 1);
    else if (what === "card-on") this._go(reading.at + 1);
    else if (what === "next") this._next(how);
    else if (what === "box" && !reading.finished) this._box();
    else if (what === "reopen") this._reopen(how);
    else if (reading.finished) panel.tell("This study is finished. Reopen it first, or press Z where you have just finished it.");
    else if (what === "missed") this._missed(how);
    else if (!reading.card || !this.shown.ready) return; // nobody judges what is not on the screen yet
    else if (VERDICTS.includes(what)) this._judge([{ type: "decide", verdict: what }], how);
    else if (what === "primary") {
      const isPrimary = reading.primary === reading.card.candidate;
      const events = reading.verdict ? [] : [{ type: "decide", verdict: "true" }];
      this._judge([...events, { type: "primary", candidate: isPrimary ? "" : reading.card.candidate }], how, !events.length);
    }
  }

  /** Take verdicts of the card that is shown, and go to the next unless it only changed something. */
  _judge(parts, how, isStaying = false) {
    const { reading, shown } = this;
    const { candidate } = reading.card;
    const seconds = Math.max(0, how.at - shown.since - shown.hidden) / 1000;
    if (!reading.verdicts.has(candidate)) this.sitting.seconds.push(seconds);
    this._do(parts.map((part) => ({ candidate, ...part })), how);
    if (!isStaying) reading.go(reading.nextOpen(reading.at));
    if (!isStaying) this._time("hepatic:next-card", how.at);
    this.shown = isStaying ? shown : null;
    this.show();
  }

  _missed(how) {
    if (this.reading.missed) return;
    this._do([{ type: "missed" }], how);
    this.show();
    panel.tell("Noted: a lesion was missed here. B draws it now; else the study is boxed by hand later.");
  }

  /** Note events of what was just done: on the page, in the outbox, and for taking them back. */
  _do(parts, { device, at }) {
    const { reading, shown } = this;
    const looked = { shown_at: clock(shown.since), decided_at: clock(Math.max(at, shown.since)), hidden_ms: Math.round(shown.hidden), device };
    const events = parts.map((part) => ({ id: api.uuid(), study: reading.study, ...looked, ...part }));
    const back = events.map((event) => reading.apply(event));
    events.forEach((event) => this.outbox.add(event));
    const step = { study: reading.study, events: events.map(({ id, type }) => ({ id, type })) };
    this.outbox.noteStep(step);
    this.steps.push({ ...step, back, reading });
  }

  async _next(how) {
    const { reading } = this;
    if (reading.card) {
      const open = reading.nextOpen(reading.at);
      this._go(open === reading.cards.length || open === reading.at ? reading.at + 1 : open);
      return;
    }
    if (!reading.isDecided) {
      this._go(reading.nextOpen(-1));
      return;
    }
    if (!reading.finished) {
      this._do([{ type: "finish" }], how);
      this.sitting.studies += 1;
    }
    this._time("hepatic:next-study", how.at);
    await this.open();
  }

  async _reopen(how) {
    this._do([{ type: "reopen" }], how);
    this.shown = null;
    this.show();
  }

  async _undo(how) {
    const step = this.steps.pop();
    if (!step) {
      panel.tell("There is nothing to undo.");
      return;
    }
    this.busy = true;
    try {
      const known = step.back;
      if (!known) await this.outbox.flush();
      await this.desk.back(step.study, step.reading);
      const { reading } = this;
      for (const { id } of step.events.slice().reverse()) {
        this.outbox.add({ id: api.uuid(), type: "undo", study: step.study, of: id, decided_at: clock(how.at), device: how.device });
      }
      this.outbox.dropStep();
      if (known) for (const back of known.reverse()) back();
      else { // done before this page was opened: what holds now is asked of the server
        await this.outbox.flush();
        await this.desk.open(reading.study);
      }
      const finished = step.events.some(({ type }) => type === "finish");
      // finishing gave the study back, and the server gives it again only once it knows that the end was taken back
      if (finished) this.outbox.flush().then(() => this.desk.hold(reading));
      if (finished) this.sitting.studies = Math.max(0, this.sitting.studies - 1);
      if (step.events.some(({ type }) => type === "decide")) this.sitting.seconds.pop();
      this.shown = null;
      this.show();
      panel.tell(`Taken back: ${step.events.map(({ type }) => type).join(", ")}.`);
    } catch (failure) {
      this.steps.push(step);
      this._failed(failure);
    } finally {
      this.busy = false;
    }
  }

  _go(place) {
    if (!this.reading || this.boxing.isOpen) return;
    this.reading.go(place);
    this.shown = null;
    this.show();
  }

  _wheel(event) {
    event.preventDefault();
    if (this.reading?.card && event.deltaY) this._scroll(event.deltaY < 0 ? "up" : "down");
  }

  _scroll(what) {
    const { card, layout } = this.reading;
    if (!card) return;
    const known = layout.cards[card.candidate];
    const half = Math.floor(shownColumns(known, known.key, SLICES).length / 2);
    const wanted = what === "key-slice" ? known.key : this.middle + (what === "up" ? -1 : 1);
    this.middle = Math.max(half, Math.min(wanted, known.slices.length - 1 - half));
    this._draw();
  }

  _window(step) {
    const count = this.reading.layout.windows.length;
    this.presetAt = (this.presetAt + step + count) % count;
    localStorage.setItem("hepatic-qa-window", String(this.presetAt));
    panel.showWindow(this.preset, this.presetAt, count);
    panel.tell(`Window: ${this.preset.label}`);
    this.boxing.preset = this.preset.name;
    this._draw();
    this._prefetch();
  }

  _ticks() {
    this.ticks = !this.ticks;
    panel.press("ticks", this.ticks);
    this._draw();
  }

  _box() {
    const { reading } = this;
    const { card } = reading;
    panel.showNote(null);
    byId("card").hidden = true;
    byId("slice").hidden = false;
    byId("bar").hidden = true;
    byId("box-bar").hidden = false;
    this.boxing.open(reading, card ? card.key_slice : Math.floor(reading.layout.stack.slices / 2), this.preset.name);
  }

  _drawn(box) {
    this._do([{ type: "box", box: box.map((edge) => Math.round(edge * 100) / 100) }], { device: "mouse", at: performance.now() });
    panel.tell("The box is noted. Draw another, or press Escape.");
  }

  _boxed() {
    byId("slice").hidden = true;
    byId("bar").hidden = false;
    byId("box-bar").hidden = true;
    this.shown = null;
    this.show();
  }

  _actBoxing(what, { far }) {
    const step = far ? 24 : 4;
    const crosses = { "cross-up": [0, -1], "cross-down": [0, 1], "cross-left": [-1, 0], "cross-right": [1, 0] };
    if (what in crosses) this.boxing.move(...crosses[what].map((way) => way * step));
    else if (what.startsWith("phase-")) this.boxing.choose(Number(what.slice(6)));
    else if (what === "up" || what === "down") this.boxing.scroll(what === "up" ? 1 : -1);
    else if (what === "window" || what === "window-back") this._window(what === "window" ? 1 : -1);
    else if (what === "box-point") this.boxing.point();
    else if (what === "box-save") this.boxing.save();
    else if (what === "box-back") this.boxing.back();
    else if (what === "box-whole") this.boxing.whole();
    else if (what === "box-from") this.boxing.depth("low");
    else if (what === "box-to") this.boxing.depth("high");
    else if (what === "box-close" || what === "box") this.boxing.close();
  }

  async _studies() {
    try {
      panel.showStudies(await api.queue(), (study) => this.open(study));
    } catch (failure) {
      this._failed(failure);
    }
  }

  _nothingLeft() {
    panel.showReading(null, () => {});
    panel.showNote({
      title: "Nothing is left to read",
      lines: ["Every study that a detector has seen is decided or is being read by somebody else.",
        "New studies come when a detector proposes: on the dashboard, or with hepatic qa propose."],
      actions: [["again", "Look again"]],
      links: [["qa/dashboard", "Dashboard"]],
    });
    this.again = () => this.open();
    panel.tell("Nothing is left to read.");
  }

  _taken(study) {
    if (this.reading?.study === study) panel.tell("Another reader has taken this study over. What you decided is kept.", true);
  }

  /** Time in which the page could not be seen does not count as looking. */
  _seen() {
    if (!this.shown) return;
    const now = performance.now();
    if (document.hidden) this.shown.away = now;
    else if (this.shown.away) {
      this.shown.hidden += now - this.shown.away;
      this.shown.away = null;
      this.outbox?.flush();
    }
  }

  /** Time what was just done, from its key or click on. */
  _time(name, began) {
    this.timed = { name, began };
  }

  /** Note how long it took until what came of it was on the screen. */
  _measured() {
    const { timed } = this;
    if (!timed) return;
    this.timed = null;
    requestAnimationFrame(() => {
      const painted = new MessageChannel();
      painted.port1.onmessage = () => performance.measure(timed.name, { start: timed.began, end: performance.now() });
      painted.port2.postMessage(null);
    });
  }

  _failed(failure) {
    if (!(failure instanceof api.OfflineError || failure instanceof api.RefusedError)) console.error(failure);
    panel.tell(failure instanceof api.OfflineError
      ? `${failure.message} What you decide is kept in this browser and sent later.` : failure.message, true);
  }
}

new Page().begin();

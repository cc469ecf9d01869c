// The page on which a reader judges candidates: it shows one card at a time and passes on what is done with it.

import { fetchAhead } from "./ahead.js";
import * as api from "./api.js";
import { showBadge } from "./badge.js";
import { Boxing } from "./boxing.js";
import { Desk } from "./desk.js";
import { byId } from "./dom.js";
import { ImageStage, KEYS } from "./image_stage.js";
import { listen } from "./keys.js";
import { Look } from "./look.js";
import * as panel from "./panel.js";
import { VERDICTS } from "./reading.js";
import { ReviewOutbox } from "./review_outbox.js";
import { Shelf } from "./shelf.js";
import { SlicerFiles } from "./slicer.js";
import { Stage } from "./stage.js";
import { Steps } from "./steps.js";
import { openViewer, showViewer } from "./viewer.js";

const DEAD_MS = 250; // after a card has come up, what was meant for the one before it is let go
const AFTER_MS = 40;

class Page {
  constructor() {
    this.shelf = new Shelf();
    this.look = new Look();
    this.desk = new Desk(this.shelf, () => this.outbox.flush(), (study) => this._taken(study),
      (study, etag) => this.outbox.saw(study, etag));
    this.lesions = new Stage(this.shelf, this.look, (failure) => this._failed(failure));
    this.images = new ImageStage(this.shelf, this.look, (failure) => this._failed(failure));
    byId("card").addEventListener("wheel", (event) => {
      event.preventDefault();
      if (this.reading?.card && event.deltaY) this.stage.scroll(event.deltaY < 0 ? "up" : "down");
    }, { passive: false });
    this.sitting = { studies: 0, seconds: [] };
    this.busy = false;
    this.boxing = new Boxing(byId("slice"), this.shelf, {
      save: (box) => this._drawn(box),
      closed: () => this._boxed(),
      told: (text) => (byId("box-hint").textContent = text),
    });
    listen({ isBoxing: () => this.boxing.isOpen, isClasses: () => Boolean(this.reading?.isClasses), act: (what, how) => this.act(what, how) });
    this.slicer = new SlicerFiles({
      reading: () => this.reading, flushed: () => this.outbox.flush(),
      failed: (failure) => this._failed(failure), back: (study, told) => this._backFromSlicer(study, told),
    });
    byId("studies-open").addEventListener("click", () => this._studies());
    addEventListener("resize", () => this._draw());
    document.addEventListener("visibilitychange", () => document.hidden || this.outbox?.flush());
  }

  get reading() {
    return this.desk.reading;
  }

  get stage() {
    return this.reading?.isClasses ? this.images : this.lesions;
  }

  async begin() {
    try {
      const { reader } = await api.queue(1);
      this.outbox = await ReviewOutbox.open(reader, api.send);
      this.outbox.changed = () => showBadge(this.outbox);
      this.outbox.elsewhere = (text) => panel.tell(text, true);
      this.outbox.placeOf = (event) => this.reading?.placeOf(event) || "";
      this.outbox.gaveUp = (events) => this._gaveUp(events);
      this.steps = new Steps(this.outbox, this.desk);
      await this.steps.load();
      await this.outbox.flush(); // first: what the server then tells is what the reader had done
      showBadge(this.outbox);
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
        if (reading.toBox && !reading.boxes.size && !reading.finished) this._box();
      }
    } catch (failure) {
      this._failed(failure);
      panel.showNote(panel.notOpened(failure.message));
      this.again = () => this.open(study);
    } finally {
      this.busy = false;
    }
  }

  /** Show the card of the reading, or its end. */
  show() {
    const { reading } = this;
    panel.showReading(reading, (place) => this._go(place));
    showViewer(reading.viewer);
    panel.showSitting(this.sitting);
    panel.showNote(reading.card ? null : panel.endOf(reading));
    this.stage.show(reading);
    panel.announce(reading);
    clearTimeout(this.fetching);
    this.fetching = setTimeout(() => this._fetchAhead(), AFTER_MS); // not while the card itself is being drawn
  }

  _draw() {
    if (this.boxing.isOpen) this.boxing.draw();
    else this.stage.draw();
  }

  _fetchAhead() {
    if (this.reading) fetchAhead(this.shelf, this.desk, (layout) => (layout.windows ? this.lesions.presetIn(layout).name : KEYS));
  }

  /** @param {string} what @param {{device: string, at: number, far: boolean}} how */
  act(what, how) {
    if (what === "help") byId("help").showModal();
    else if (what === "viewer") openViewer();
    else if (what === "again") this.again?.();
    else if (what === "studies") this._studies();
    else if (this.boxing.isOpen) this._actBoxing(what, how);
    else if (this.reading && !this.busy) {
      if (["up", "down", "key-slice"].includes(what)) this.stage.scroll(what);
      else if (what === "window" || what === "window-back") this._window(what === "window" ? 1 : -1);
      else if (what === "ticks") this.stage.ticks();
      else if (how.at - this.look.at.since >= DEAD_MS) this._decide(what, how);
    } else if (what === "undo" && !this.busy) this._undo(how);
  }

  _actBoxing(what, how) {
    if (what === "window" || what === "window-back") this._window(what === "window" ? 1 : -1);
    else this.boxing.act(what, how.far);
  }

  _decide(what, how) {
    const { reading } = this;
    if (what === "undo") this._undo(how);
    else if (what === "card-back") this._go(reading.at - 1);
    else if (what === "card-on") this._go(reading.at + 1);
    else if (what === "next") this._next(how);
    else if (what === "no-lesion" && reading.isEmpty && !reading.card && !reading.finished) this._finish(how);
    else if (what === "box" && !reading.finished) this._box();
    else if (what === "reopen") this._reopen(how);
    else if (reading.finished) panel.tell("This study is finished. Reopen it first, or press Z where you have just finished it.");
    else if (what === "missed") this._missed(how);
    else if (!reading.card || !this.look.at.ready) return; // nobody judges what is not on the screen yet
    else if (reading.isClasses) this._classify(what, how);
    else if (VERDICTS.includes(what)) this._judge([{ type: "decide", verdict: what }], how);
    else if (what === "primary") {
      const isPrimary = reading.primary === reading.card.candidate;
      const events = reading.verdict ? [] : [{ type: "decide", verdict: "true" }];
      this._judge([...events, { type: "primary", candidate: isPrimary ? "" : reading.card.candidate }], how, !events.length);
    }
  }

  _classify(what, how) {
    const verdict = what === "unsure" ? what : this.reading.classes[Number(/^class-(\d)$/.exec(what)?.[1])];
    if (verdict) this._judge([{ type: "decide", verdict }], how);
  }

  /** Take verdicts of the card that is shown, and go to the next unless it only changed something. */
  _judge(parts, how, isStaying = false) {
    const { reading } = this;
    const { candidate } = reading.card;
    if (!reading.verdicts.has(candidate)) this.sitting.seconds.push(this.look.seconds(how.at));
    this._do(parts.map((part) => ({ candidate, ...part })), how);
    if (!isStaying) {
      reading.go(reading.nextOpen(reading.at));
      this.look.time("hepatic:next-card", how.at);
      this.look.end();
    }
    this.show();
  }

  _missed(how) {
    if (this.reading.missed) return;
    this._do([{ type: "missed" }], how);
    this.show();
    panel.tell("Noted: a lesion was missed here. B draws it now; else the study is boxed by hand later.");
  }

  _do(parts, how) {
    this.steps.add(this.reading, parts.map((part) => ({ ...this.look.told(how), ...part })));
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
    if (reading.isEmpty && !reading.finished) {
      panel.tell("No box was drawn. B draws one; N finishes the study if there is no lesion to draw.", true);
      return;
    }
    await this._finish(how);
  }

  async _finish(how) {
    if (!this.reading.finished) {
      this._do([{ type: "finish" }], how);
      this.sitting.studies += 1;
    }
    this.look.time("hepatic:next-study", how.at);
    await this.open();
  }

  /** What is shown is not what is stored any more: the server is asked again. @param {{id: string, study: string}[]} events */
  _gaveUp(events) {
    this.steps.forget(events);
    const { reading } = this;
    if (reading && events.some(({ study }) => study === reading.study)) this.open(reading.study);
  }

  _reopen(how) {
    this._do([{ type: "reopen" }], how);
    this.look.end();
    this.show();
  }

  async _undo(how) {
    this.busy = true;
    try {
      const types = await this.steps?.takeBack(how);
      if (!types) {
        panel.tell("There is nothing to undo.");
        return;
      }
      if (types.includes("finish")) this.sitting.studies = Math.max(0, this.sitting.studies - 1);
      if (types.includes("decide")) this.sitting.seconds.pop();
      this.look.end();
      this.show();
      panel.tell(`Taken back: ${types.join(", ")}.`);
    } catch (failure) {
      this._failed(failure);
    } finally {
      this.busy = false;
    }
  }

  _go(place) {
    if (!this.reading || this.boxing.isOpen) return;
    this.reading.go(place);
    this.look.end();
    this.show();
  }

  _window(step) {
    this.lesions.window(step);
    this.boxing.preset = this.lesions.preset.name;
    this._draw();
    this._fetchAhead();
  }

  _box() {
    const { reading } = this;
    panel.showNote(null);
    panel.showBoxing(true);
    const k = reading.card ? reading.card.key_slice : Math.floor(reading.layout.stack.slices / 2);
    this.boxing.open(reading, k, this.lesions.preset.name);
  }

  _drawn(box) {
    this._do([{ type: "box", box: box.map((edge) => Math.round(edge * 100) / 100) }], { device: "mouse", at: performance.now() });
    panel.tell("The box is noted. Draw another, or press Escape.");
  }

  _boxed() {
    panel.showBoxing(false);
    this.look.end();
    this.show();
  }

  async _studies() {
    try {
      panel.showStudies(await api.queue(), (study) => this.open(study));
    } catch (failure) {
      this._failed(failure);
    }
  }

  async _backFromSlicer(study, told) {
    this.steps.forget([{ study }]);
    await this.open(study);
    panel.tell(told);
  }

  _nothingLeft() {
    panel.showReading(null, () => {});
    showViewer(null);
    panel.showNote(panel.NOTHING_LEFT);
    this.lesions.reading = this.images.reading = null;
    this.again = () => this.open();
    panel.tell("Nothing is left to read.");
  }

  _taken(study) {
    if (this.reading?.study === study) panel.tell("Another reader has taken this study over. What you decided is kept.", true);
  }

  _failed(failure) {
    if (!(failure instanceof api.OfflineError || failure instanceof api.RefusedError)) console.error(failure);
    panel.tell(failure instanceof api.OfflineError
      ? `${failure.message} What you decide is kept in this browser and sent later.` : failure.message, true);
  }
}

new Page().begin();

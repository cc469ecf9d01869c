// One ultrasound image: what is seen, what a model says of it, what the reader says.

import { OfflineError, RefusedError, uuid } from "../../qa/web/ask.js";
import { showBadge } from "../../qa/web/badge.js";
import { byId } from "../../qa/web/dom.js";
import { openViewer, showViewer } from "../../qa/web/viewer.js";
import * as api from "./api.js";
import { Draft } from "./draft.js";
import { Eligibility } from "./eligibility.js";
import { Frames } from "./frames.js";
import { listen } from "./keys.js";
import * as panel from "./panel.js";
import { ReadingOutbox, followedBy } from "./reading_outbox.js";
import { Stage } from "./stage.js";
import { classWord, clock } from "./words.js";

const PLAYED_FPS = 12;
const KEYS = {
  b: "box", x: "clear", z: "undo", m: "model", a: "attention", "[": "weaker", "]": "stronger", o: "onset", r: "ask", v: "viewer", " ": "play", h: "help", "?": "help",
  l: "list", n: "next", p: "previous", pagedown: "next", pageup: "previous", arrowleft: "back", arrowright: "on", home: "first", end: "last",
};
const kept = (name, other) => localStorage.getItem(`hepatic-cases-${name}`) ?? other;
const keep = (name, value) => localStorage.setItem(`hepatic-cases-${name}`, String(value));

class Page {
  constructor() {
    this.image = decodeURIComponent(location.pathname.split("/").at(-1));
    this.stage = new Stage((box, isMore) => this._boxed(box, isMore), () => this._looking());
    this.frame = 0;
    this.attention = null;
    this.shown = kept("attention", "true") === "true";
    this.strength = Number(kept("strength", "35"));
    this.draft = new Draft(this.stage, (box) => this._boxed(box, false));
    this.playing = 0;
    listen({ keys: KEYS, isDrawing: () => this.draft.isOpen, act: (what, how) => this.act(what, how), choose: (place, isShifted) => this._chosen(place, isShifted) });
    this.eligibility = new Eligibility(this.image, (reading, told) => this._say(reading, told));
    byId("frame").addEventListener("input", () => this.show(Number(byId("frame").value)));
    byId("model").addEventListener("change", () => this._prefer(byId("model").value));
    byId("strength").value = String(this.strength);
    byId("strength").addEventListener("input", () => this._strengthen(Number(byId("strength").value)));
    byId("frame-seconds").addEventListener("change", () => this.ask());
    byId("picture").addEventListener("wheel", (event) => {
      event.preventDefault();
      if (event.deltaY) this.show(this.frame + Math.sign(event.deltaY));
    }, { passive: false });
    byId("curve").addEventListener("click", (event) => this._seek(event));
    byId("list").href = api.page();
  }

  async begin() {
    try {
      await this._load();
      await this._openOutbox();
      const { picture, models } = this.told;
      this.frames = new Frames(this.image, picture.frames);
      byId("cine").hidden = picture.frames < 2;
      byId("frame").max = String(picture.frames - 1);
      await this.show(this.told.reading.frames[0] ?? picture.onset);
      const before = models.find((model) => model.name === kept(this._kind, "")) || models[0];
      if (before) await this._use(before.name);
      else panel.tell("No classifier for ultrasound is served.", true);
    } catch (failure) {
      this._failed(failure);
    }
    document.body.dataset.ready = "true";
  }

  get model() {
    return this.told?.models.find((model) => model.name === byId("model").value);
  }

  get options() {
    const { reading, picture } = this.told;
    const takes = new Set(this.model.options);
    const options = {};
    if (takes.has("roi") && reading.boxes.length) {
      options.roi = reading.boxes[0].join(",");
      if (takes.has("roi_frame")) [options.roi_frame] = reading.frames;
    }
    if (takes.has("frame") && this.asked) options.frame = this.asked;
    const seconds = byId("frame-seconds").value;
    if (takes.has("frame_seconds") && !picture.times_s && seconds) options.frame_seconds = seconds;
    return options;
  }

  /** What an answer hangs on: where the model judges a lesion and no box is sent along, on the one that the server has. */
  get about() {
    const isByLabel = this.model.options.includes("roi") && !this.options.roi;
    return JSON.stringify([this.options, isByLabel ? this.stored.boxes : null]);
  }

  async _load() {
    const model = byId("model").value;
    const turn = this.turn = (this.turn || 0) + 1;
    const told = await api.opened(this.image);
    if (turn !== this.turn) return; // asked again meanwhile
    this.told = told;
    this.stored = this.told.reading;
    this.outbox?.saw(this.image, String(this.stored.version));
    panel.showCase(this.told);
    showViewer(this.told.viewer);
    if (model) byId("model").value = model;
    this._showReading();
  }

  /** What was said, here or on an earlier page, is sent as soon as the server can be reached. */
  async _openOutbox() {
    const outbox = await ReadingOutbox.open(this.told.reader, api.send);
    outbox.saw(this.image, String(this.stored.version));
    outbox.changed = () => showBadge(outbox);
    outbox.settled = (event, status, reason) => this._settled(event, status, reason);
    outbox.gaveUp = () => this._changed();
    this.outbox = outbox;
    if (outbox.pending.length || outbox.refused.length) showBadge(outbox);
    this._showReading();
    outbox.flush();
  }

  /** Show the reading as it is once all that is kept here has been stored. */
  _showReading() {
    this.told.reading = followedBy(this.stored, this.outbox?.of(this.image) || []);
    this.stage.boxes = this.told.reading.boxes;
    this.stage.beside = this.told.reading.beside;
    panel.showReading(this.told, this.model, (name) => this._choose(name));
    this.eligibility.showSaid(this.told.reading.classes);
    this.stage.draw();
  }

  async _use(name) {
    byId("model").value = name;
    const [isCine, takesFrame] = [this.told.picture.frames > 1, this.model.options.includes("frame")];
    this.asked = takesFrame && isCine ? this.frame : 0;
    byId("curve").hidden = takesFrame || !isCine; // its place is kept until it comes: the picture must not jump under a box that is being drawn
    panel.showReading(this.told, this.model, (one) => this._choose(one));
    await this.ask();
  }

  /** Use a model from now on, for stills or for cines. */
  _prefer(name) {
    keep(this._kind, name);
    return this._use(name);
  }

  get _kind() {
    return this.told.picture.frames > 1 ? "cine-model" : "still-model";
  }

  /** Ask the model, and show what it says. */
  async ask() {
    this.asking?.abort();
    const asking = this.asking = new AbortController();
    const { model, options } = this;
    this.askedAbout = this.about;
    this.answer = this.attention = this.stage.looked = null;
    byId("curve").ariaBusy = "true";
    byId("seconds").hidden = !(model.options.includes("frame_seconds") && !this.told.picture.times_s);
    panel.showAnswer(model, null);
    this._redraw();
    try {
      const answer = await api.answered(this.image, model.name, options, asking.signal);
      if (this.asking !== asking) return;
      this.answer = answer;
      panel.showAnswer(model, answer);
      this.stage.looked = answer.roi || null;
      if (answer.has_attention) {
        const attention = await api.attentionPicture(this.image, model.name, options);
        if (this.asking !== asking) return;
        this.attention = attention;
      }
      if (answer.curve) await this._showCurve(asking, model.name, options);
      if (this.asking === asking) this._redraw();
    } catch (failure) {
      if (this.asking === asking && failure.name !== "AbortError") panel.showAnswer(model, null, failure.message);
    }
  }

  async _showCurve(asking, name, options) {
    const url = await api.curvePicture(this.image, name, options);
    if (this.asking !== asking) {
      URL.revokeObjectURL(url);
      return;
    }
    const picture = byId("curve").querySelector("img");
    URL.revokeObjectURL(picture.src);
    picture.src = url;
    picture.alt = `Time-intensity curve: echo begins at ${clock(this.answer.onset_s)}`;
    await picture.decode().catch(() => {});
    if (this.asking !== asking) return;
    byId("curve").ariaBusy = "false";
    this._mark();
  }

  async show(frame) {
    const { picture } = this.told;
    this.step = frame < this.frame ? -1 : 1;
    this.frame = Math.max(0, Math.min(frame, picture.frames - 1));
    byId("frame").value = String(this.frame);
    const at = picture.times_s ? `, ${clock(picture.times_s[this.frame])}` : "";
    byId("time").textContent = `frame ${this.frame + 1} of ${picture.frames}${at}`;
    byId("frame").setAttribute("aria-valuetext", byId("time").textContent);
    const wanted = this.frame;
    const shown = await this.frames.get(wanted);
    if (wanted !== this.frame) return;
    this.stage.frame = shown;
    byId("stage").ariaBusy = "false";
    this.frames.ahead(wanted, this.step);
    this._redraw();
  }

  /** Attention belongs to the frame it was found on; a box is followed through the cine by the model, not here. */
  _redraw() {
    const isItsFrame = !this.answer || this.told.picture.frames < 2 || this.answer.frame === this.frame;
    this.stage.attention = this.shown && isItsFrame ? this.attention : null;
    this.stage.strength = this.strength / 100;
    document.querySelector('[data-do="attention"]').setAttribute("aria-pressed", String(this.shown));
    const over = this.stage.attention ? ", with where the model looked over it" : "";
    const boxes = this.told.reading.boxes.length;
    byId("picture").setAttribute("aria-label", `Ultrasound picture, ${byId("time").textContent}${over}${boxes ? `, ${boxes} box drawn` : ""}`);
    this.stage.draw();
    this._mark();
  }

  /** Mark the frame that is shown on the curve. */
  _mark() {
    const { curve, onset_s: onset } = this.answer || {};
    const times = this.told.picture.times_s;
    byId("now").hidden = !curve || !times;
    if (!curve || !times) return;
    const share = (times[this.frame] - times[0] - onset - curve.from_s) / (curve.to_s - curve.from_s);
    byId("now").style.left = `${100 * (curve.left + Math.max(0, Math.min(1, share)) * (curve.right - curve.left))}%`;
  }

  _seek(event) {
    const { curve, onset_s: onset } = this.answer || {};
    const times = this.told.picture.times_s;
    if (!curve || !times) return;
    const room = byId("curve").getBoundingClientRect();
    const share = ((event.clientX - room.left) / room.width - curve.left) / (curve.right - curve.left);
    const wanted = curve.from_s + share * (curve.to_s - curve.from_s) + onset + times[0];
    this.show(times.reduce((best, at, n) => (Math.abs(at - wanted) < Math.abs(times[best] - wanted) ? n : best), 0));
  }

  act(what, how = { corner: false, far: false }) {
    if (what === "help") byId("help").showModal();
    else if (what === "viewer") openViewer();
    else if (what === "list") location.assign(api.page());
    else if (!this.told) return;
    else if (this.draft.isOpen) this.draft.act(what, how);
    else if (what === "next" || what === "previous") this._go(what);
    else if (what === "back" || what === "on") this.show(this.frame + (what === "on" ? 1 : -1));
    else if (what === "first" || what === "last") this.show(what === "first" ? 0 : Infinity);
    else if (what === "onset") this.show(this.answer?.frame ?? 0);
    else if (what === "play") this._play();
    else if (what === "attention") this._toggle();
    else if (what === "weaker" || what === "stronger") this._strengthen(this.strength + (what === "stronger" ? 10 : -10));
    else if (what === "model") this._nextModel();
    else if (what === "ask") this._use(byId("model").value);
    else if (what === "box") this._draft();
    else if (what === "clear") this._say({ boxes: [], frames: [] }, "The boxes are removed.");
    else if (what === "undo") this._undo();
  }

  /** Begin a box with the keys: at the one there is, else in the middle of the image that is looked at. */
  _draft() {
    const { reading, picture } = this.told;
    const [left, top, right, bottom] = reading.boxes[0] || picture.contrast || picture.tissue || [0, 0, picture.width, picture.height];
    const box = reading.boxes[0] ? [left, top, right, bottom]
      : [left + (right - left) * 0.4, top + (bottom - top) * 0.4, left + (right - left) * 0.6, top + (bottom - top) * 0.6];
    this.draft.begin(box);
  }

  /** Who draws stops a playing cine: the picture stays what it is. */
  _looking() {
    if (this.playing) this._play();
  }

  _boxed(box, isMore) {
    if (!this.told) return;
    const { boxes, frames } = isMore ? this.told.reading : { boxes: [], frames: [] };
    this._say({ boxes: [...boxes, box], frames: [...frames, this.frame] }, "The box is noted.");
  }

  _chosen(place, isShifted) {
    if (!isShifted) this._choose(this.model?.classes[place]);
    else if (this.told && !this.draft.isOpen) this.eligibility.choose(place);
  }

  _choose(name) {
    const { model } = this;
    if (!model || !name || this.draft.isOpen) return;
    const isSame = this.told.reading.classes[model.note] === name;
    const reading = { classes: { [model.note]: isSame ? "" : name } };
    if (!isSame && name === model.absent && this.told.reading.boxes.length) Object.assign(reading, { boxes: [], frames: [] }); // no lesion, no box
    this._say(reading, isSame ? "Your class is taken back." : `You say: ${classWord(name)}.`);
  }

  /** Keep what the reader says, show it, and send it. */
  _say(reading, told) {
    this._keep({ type: "say", ...reading }, told);
  }

  _undo() {
    this._keep({ type: "undo" }, "Taken back.");
  }

  _keep(what, told) {
    if (!this.outbox) return;
    this.outbox.say({ id: uuid(), image: this.image, patient: this.told.patient, ...what });
    panel.tell(told);
    this._changed();
  }

  /** Show what is said now, and ask the model again where that changes what it is asked about. */
  _changed() {
    this._showReading();
    if (this.model && this.about !== this.askedAbout) return this.ask();
    return this._redraw();
  }

  async _settled(event, status, reason) {
    if (event.image === this.image) {
      if (status === "stored") this.stored = followedBy(this.stored, [event]); // until it is told by the server
      await this._load().catch(() => {});
      this._changed();
      this.eligibility.examine();
    }
    if (reason) panel.tell(reason, true);
  }

  _go(where) {
    const to = this.told[where];
    if (to) location.assign(api.page(to));
    else panel.tell(where === "next" ? "This is the last image." : "This is the first image.");
  }

  _nextModel() {
    const { models } = this.told;
    const place = models.findIndex((model) => model.name === byId("model").value);
    if (models.length) this._prefer(models[(place + 1) % models.length].name);
  }

  _toggle() {
    this.shown = !this.shown;
    keep("attention", this.shown);
    this._redraw();
  }

  _strengthen(strength) {
    this.strength = Math.max(0, Math.min(100, strength));
    byId("strength").value = String(this.strength);
    keep("strength", this.strength);
    this._redraw();
  }

  _play() {
    const isPlaying = Boolean(this.playing);
    clearInterval(this.playing);
    this.playing = 0;
    document.querySelector('[data-do="play"]').setAttribute("aria-pressed", String(!isPlaying));
    if (isPlaying || this.told.picture.frames < 2) return;
    let isBusy = false;
    this.playing = setInterval(async () => {
      if (isBusy) return;
      isBusy = true;
      await this.show((this.frame + 1) % this.told.picture.frames).catch(() => {});
      isBusy = false;
    }, 1000 / PLAYED_FPS);
  }

  _failed(failure) {
    if (!(failure instanceof OfflineError || failure instanceof RefusedError)) console.error(failure);
    byId("stage").ariaBusy = "false";
    panel.tell(failure.message, true);
  }
}

new Page().begin();

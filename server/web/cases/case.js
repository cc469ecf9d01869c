// One ultrasound image: what is seen, what a model says of it, what the reader says.

import { byId } from "../../qa/web/dom.js";
import * as api from "./api.js";
import { Frames } from "./frames.js";
import { listen } from "./keys.js";
import * as panel from "./panel.js";
import { Stage } from "./stage.js";
import { classWord, clock } from "./words.js";

const PLAYED_FPS = 12;
const kept = (name, other) => localStorage.getItem(`hepatic-cases-${name}`) ?? other;
const keep = (name, value) => localStorage.setItem(`hepatic-cases-${name}`, String(value));

class Page {
  constructor() {
    this.image = decodeURIComponent(location.pathname.split("/").at(-1));
    this.stage = new Stage((box, isMore) => this._boxed(box, isMore));
    this.frame = 0;
    this.isFresh = true;
    this.attention = null;
    this.shown = kept("attention", "true") === "true";
    this.strength = Number(kept("strength", "35"));
    this.draft = null;
    this.playing = 0;
    this.saving = Promise.resolve();
    listen({ isDrawing: () => this.draft !== null, act: (what, how) => this.act(what, how), choose: (place) => this._choose(this.model?.classes[place]) });
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
      const { picture, models } = this.told;
      this.frames = new Frames(this.image, picture.frames);
      this.isFresh = this.told.reading.frame === null;
      byId("cine").hidden = picture.frames < 2;
      byId("frame").max = String(picture.frames - 1);
      await this.show(this.told.reading.frame || 0);
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
    if (takes.has("roi") && reading.boxes.length) options.roi = reading.boxes[0].join(",");
    if (takes.has("frame") && this.asked) options.frame = this.asked;
    const seconds = byId("frame-seconds").value;
    if (takes.has("frame_seconds") && !picture.times_s && seconds) options.frame_seconds = seconds;
    return options;
  }

  async _load() {
    const model = byId("model").value;
    this.told = await api.opened(this.image);
    panel.showCase(this.told);
    if (model) byId("model").value = model;
    this._showReading();
  }

  _showReading() {
    this.stage.boxes = this.told.reading.boxes;
    this.stage.beside = this.told.reading.beside;
    panel.showReading(this.told, this.model, (name) => this._choose(name));
    this.stage.draw();
  }

  async _use(name) {
    byId("model").value = name;
    this.asked = this.model.options.includes("frame") && this.told.picture.frames > 1 ? this.frame : 0;
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
    this.answer = this.attention = this.stage.looked = null;
    byId("curve").hidden = true;
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
        if (this.asking === asking) this.attention = attention;
      }
      if (this.isFresh && this.frame === 0 && answer.frame) await this.show(answer.frame); // where a box is to be drawn; nobody has looked elsewhere yet
      this.isFresh = false;
      if (answer.curve) await this._showCurve(asking, options);
      if (this.asking === asking) this._redraw();
    } catch (failure) {
      if (this.asking === asking && failure.name !== "AbortError") panel.showAnswer(model, null, failure.message);
    }
  }

  async _showCurve(asking, options) {
    const url = await api.curvePicture(this.image, this.model.name, options);
    const picture = byId("curve").querySelector("img");
    URL.revokeObjectURL(picture.src);
    picture.src = url;
    picture.alt = `Time-intensity curve: echo begins at ${clock(this.answer.onset_s)}`;
    await picture.decode().catch(() => {});
    if (this.asking !== asking) return;
    byId("curve").hidden = false;
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
    else if (what === "list") location.assign(api.page());
    else if (!this.told) return;
    else if (this.draft) this._actDrawing(what, how);
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
    else if (what === "clear") this._say({ boxes: [] }, "The boxes are removed.");
    else if (what === "undo") this._undo();
  }

  _actDrawing(what, { corner, far }) {
    const moved = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] }[what];
    if (what === "box-save") this._boxed(this.draft, false);
    if (what === "box-save" || what === "box-close") this._endDraft();
    if (!moved) return;
    const [x, y] = moved.map((one) => one * (far ? 10 : 1));
    const [left, top, right, bottom] = this.draft;
    const next = this.stage.within(corner ? [left, top, Math.max(left + 3, right + x), Math.max(top + 3, bottom + y)] : [left + x, top + y, right + x, bottom + y]);
    if (corner || (next[2] - next[0] === right - left && next[3] - next[1] === bottom - top)) this.draft = this.stage.draft = next;
    this.stage.draw();
    panel.tell(`Box: ${this.draft[2] - this.draft[0]} x ${this.draft[3] - this.draft[1]} pixels at ${this.draft[0]}, ${this.draft[1]}`);
  }

  /** Begin a box with the keys: at the one there is, else in the middle of the image that is looked at. */
  _draft() {
    const { reading, picture } = this.told;
    const [left, top, right, bottom] = reading.boxes[0] || picture.contrast || picture.tissue || [0, 0, picture.width, picture.height];
    const box = reading.boxes[0] ? [left, top, right, bottom]
      : [left + (right - left) * 0.4, top + (bottom - top) * 0.4, left + (right - left) * 0.6, top + (bottom - top) * 0.6];
    this.draft = this.stage.draft = this.stage.within(box);
    byId("bar").hidden = true;
    byId("box-bar").hidden = false;
    this.stage.draw();
  }

  _endDraft() {
    this.draft = this.stage.draft = null;
    byId("bar").hidden = false;
    byId("box-bar").hidden = true;
    this.stage.draw();
  }

  _boxed(box, isMore) {
    if (!this.told) return;
    this._say({ boxes: isMore ? [...this.told.reading.boxes, box] : [box], frame: this.frame }, "The box is saved.");
  }

  _choose(name) {
    const { model } = this;
    if (!model || !name || this.draft) return;
    const isSame = this.told.reading.classes[model.note] === name;
    const reading = { classes: { [model.note]: isSame ? "" : name } };
    if (!isSame && name === model.absent && this.told.reading.boxes.length) reading.boxes = []; // no lesion, no box
    this._say(reading, isSame ? "Your class is taken back." : `Saved: ${classWord(name)}.`);
  }

  /** Save what the reader says: one after the other, each on what the one before came to. */
  _say(reading, told) {
    this.saving = this.saving.then(async () => {
      panel.badge("pending", "Saving");
      try {
        await api.say(this.image, { seen: this.told.reading.version, ...reading });
        await this._saved(told, "boxes" in reading);
      } catch (failure) {
        await this._refused(failure);
      }
    });
  }

  _undo() {
    this.saving = this.saving.then(async () => {
      panel.badge("pending", "Saving");
      try {
        const boxes = JSON.stringify(this.told.reading.boxes);
        await api.takeBack(this.image, this.told.reading.version);
        await this._saved("Taken back.", null, boxes);
      } catch (failure) {
        await this._refused(failure);
      }
    });
  }

  async _saved(told, isBoxed, boxesBefore = "") {
    await this._load();
    panel.badge("saved", "Saved");
    panel.tell(told);
    const isMoved = isBoxed ?? JSON.stringify(this.told.reading.boxes) !== boxesBefore;
    if (isMoved && this.model?.options.includes("roi")) await this.ask();
    else this._redraw();
  }

  async _refused(failure) {
    panel.badge("failed", "Not saved");
    panel.tell(failure.message, true);
    if (failure.status === 409) await this._load().catch(() => {});
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
    if (!(failure instanceof api.RefusedError)) console.error(failure);
    byId("stage").ariaBusy = "false";
    panel.tell(failure.message, true);
  }
}

new Page().begin();

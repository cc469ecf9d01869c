// Burnt-in text: a picture after the other is looked at, and let go, or held again.

import { READER, RefusedError } from "../../cases/web/api.js";
import { Stage } from "../../cases/web/stage.js";
import { byId, made } from "../../qa/web/dom.js";

const API = new URL("../api/v1/images", import.meta.url);
const WHO = READER ? { "X-Hepatic-Reader": READER.replace(/[^\x20-\x7e]/g, "").slice(0, 64) } : {};

/** @param {string} path @param {RequestInit} [options] */
async function ask(path, options = {}) {
  const answer = await fetch(`${API}${path}`, { cache: "no-store", ...options, headers: { ...WHO, ...options.headers } })
    .catch(() => { throw new RefusedError(0, "The server does not answer. Try again."); });
  if (answer.status === 401) location.assign(new URL(`../../login?next=${encodeURIComponent(location.pathname + location.search)}`, import.meta.url));
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new RefusedError(answer.status, typeof told.detail === "string" ? told.detail : `The server answered ${answer.status}.`);
}

const at = (image, rest = "") => `/${encodeURIComponent(image)}${rest}`;
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const KEYS = {
  a: "approve", i: "as-is", w: "withdraw", b: "box", z: "drop", n: "next", j: "next", p: "previous", k: "previous",
  pagedown: "next", pageup: "previous", arrowright: "next", arrowleft: "previous",
};
const DRAWING = { enter: "box-save", escape: "box-close", b: "box-close", arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] };

class Page {
  constructor() {
    this.stage = new Stage((box) => this._add(box));
    this.place = 0;
    this.pictures = [];
    this.draft = null;
    byId("all").addEventListener("change", () => this._list());
    document.addEventListener("keydown", (event) => this._key(event));
    document.addEventListener("click", (event) => {
      const button = event.target instanceof Element && event.target.closest("[data-do]");
      if (!button) return;
      if (event.detail) button.blur();
      this.act(button.dataset.do);
    });
    this._list().finally(() => { document.body.dataset.ready = "true"; });
  }

  get picture() {
    return this.pictures[this.place];
  }

  async _list() {
    try {
      const told = await (await ask(`?limit=5000${byId("all").checked ? "&all=true" : ""}`)).json();
      const before = this.picture?.image_id;
      this.pictures = told.images;
      this.place = Math.max(0, this.pictures.findIndex((one) => one.image_id === before));
      await this._show();
    } catch (failure) {
      this._tell(failure.message, true);
    }
  }

  async _show() {
    const { picture } = this;
    byId("note").hidden = Boolean(picture);
    byId("picture").hidden = !picture;
    byId("place").textContent = picture ? `Picture ${this.place + 1} of ${this.pictures.length}` : "";
    byId("patient").textContent = picture ? `${picture.patient}${picture.description ? `, ${picture.description}` : ""}` : "";
    byId("pictures").replaceChildren(...this.pictures.map((one, place) => this._item(one, place)));
    byId("pictures").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
    this.stage.boxes = [];
    this._about(null);
    if (!picture) return;
    byId("stage").ariaBusy = "true";
    try {
      const [about, png] = await Promise.all([ask(at(picture.image_id)), ask(at(picture.image_id, "/proposal.png"))]);
      const [told, frame] = [await about.json(), await createImageBitmap(await png.blob())];
      if (this.picture !== picture) return;
      this.stage.frame = frame;
      this.stage.boxes = (told.approval?.boxes || []).map((box) => [...box]);
      this._about(told);
      byId("picture").setAttribute("aria-label", `${told.patient}: ${percent(told.proposal.share)} of the picture is proposed to be blacked out`);
    } catch (failure) {
      this.stage.frame = null;
      byId("picture").hidden = true;
      this._tell(failure.message, true);
    }
    byId("stage").ariaBusy = "false";
    this.stage.draw();
  }

  _item(one, place) {
    const button = made("button", one.state, `${one.patient}${one.state === "approved" ? `: ${one.approval.as_is ? "as it is" : "masked"}, ${one.approval.by}` : ""}`);
    button.type = "button";
    if (place === this.place) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => this._go(place));
    const item = made("li");
    item.append(button);
    return item;
  }

  _about(told) {
    this.about = told;
    byId("said").className = told?.said || "";
    byId("said").textContent = !told ? "" : told.said === "yes" ? "The file says that text is burnt in." : "The file does not say whether text is burnt in.";
    byId("share").textContent = told ? `${percent(told.proposal.share)} is proposed to be blacked out (red).` : "";
    const added = this.stage.boxes.length;
    byId("added").textContent = added ? `${added} box${added > 1 ? "es" : ""} more.` : "";
    const { approval } = told || {};
    byId("approval").textContent = approval
      ? `${approval.by} let it leave on ${new Date(approval.at).toLocaleString()}, ${approval.as_is ? "as it is" : `${percent(approval.share)} black`}.` : told ? "It is held." : "";
  }

  _key(event) {
    if (event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const focused = document.activeElement;
    if (focused instanceof HTMLElement && focused.matches("button, a, input") && ["Enter", " "].includes(event.key)) return;
    if (event.ctrlKey && !(this.draft && event.key.startsWith("Arrow"))) return;
    const what = (this.draft ? DRAWING : KEYS)[event.key.toLowerCase()];
    if (!what) return;
    event.preventDefault();
    if (Array.isArray(what)) this._move(what, event.shiftKey, event.ctrlKey ? 10 : 1);
    else if (!event.repeat || ["next", "previous"].includes(what)) this.act(what);
  }

  act(what) {
    if (what === "next" || what === "previous") this._go(this.place + (what === "next" ? 1 : -1));
    else if (!this.about) return;
    else if (what === "approve") this._approve(false);
    else if (what === "as-is") this._ask();
    else if (what === "withdraw") this._change("DELETE", "It is held again.");
    else if (what === "drop") this._drop();
    else if (what === "box") this._begin();
    else if (what === "box-save" || what === "box-close") this._end(what === "box-save");
  }

  _go(place) {
    if (this.draft || place < 0 || place >= this.pictures.length) return;
    this.place = place;
    this._show();
  }

  _ask() {
    const sure = byId("sure");
    sure.returnValue = "";
    sure.addEventListener("close", () => sure.returnValue === "yes" && this._approve(true), { once: true });
    sure.showModal();
  }

  _approve(asIs) {
    const body = JSON.stringify({ as_is: asIs, boxes: asIs ? [] : this.stage.boxes });
    return this._change("PUT", "It may leave.", { body, headers: { "Content-Type": "application/json" } });
  }

  async _change(method, told, options = {}) {
    const name = this.picture.patient;
    byId("badge").dataset.state = "pending";
    byId("badge").textContent = "Saving";
    try {
      await ask(at(this.picture.image_id, "/approval"), { method, ...options });
      byId("badge").dataset.state = "saved";
      byId("badge").textContent = "Saved";
      const { place } = this;
      await this._list();
      if (method === "PUT" && !byId("all").checked && this.pictures.length) this._go(Math.min(place, this.pictures.length - 1));
      this._tell(`${name}: ${told}`);
    } catch (failure) {
      byId("badge").dataset.state = "failed";
      byId("badge").textContent = "Not saved";
      this._tell(failure.message, true);
    }
  }

  _add(box) {
    this.stage.boxes = [...this.stage.boxes, box];
    this._about(this.about);
    this.stage.draw();
    this._tell("The box is blacked out, too, once you let the picture leave.");
  }

  _drop() {
    this.stage.boxes = this.stage.boxes.slice(0, -1);
    this._about(this.about);
    this.stage.draw();
  }

  _begin() {
    const { width, height } = this.stage.frame;
    this.draft = this.stage.draft = this.stage.within([width * 0.4, height * 0.45, width * 0.6, height * 0.55]);
    byId("bar").hidden = true;
    byId("box-bar").hidden = false;
    this.stage.draw();
  }

  _end(isKept) {
    const box = this.draft;
    this.draft = this.stage.draft = null;
    byId("bar").hidden = false;
    byId("box-bar").hidden = true;
    if (box && isKept) this._add(box);
    else this.stage.draw();
  }

  _move([x, y], isCorner, step) {
    const [left, top, right, bottom] = this.draft;
    const [dx, dy] = [x * step, y * step];
    const next = this.stage.within(isCorner ? [left, top, Math.max(left + 3, right + dx), Math.max(top + 3, bottom + dy)] : [left + dx, top + dy, right + dx, bottom + dy]);
    if (isCorner || (next[2] - next[0] === right - left && next[3] - next[1] === bottom - top)) this.draft = this.stage.draft = next;
    this.stage.draw();
  }

  _tell(text, isBad = false) {
    byId("told").textContent = text;
    byId("told").classList.toggle("bad", isBad);
  }
}

new Page();

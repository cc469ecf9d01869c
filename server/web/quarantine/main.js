// Burnt-in text: a picture after the other is looked at, and let go, or held again.

import { Draft } from "../../cases/web/draft.js";
import { listen } from "../../cases/web/keys.js";
import { Stage } from "../../cases/web/stage.js";
import { asking, json } from "../../qa/web/ask.js";
import { byId, made } from "../../qa/web/dom.js";

const ask = asking(new URL("../api/v1/", import.meta.url));

const at = (image, rest = "") => `images/${encodeURIComponent(image)}${rest}`;
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const KEYS = {
  a: "approve", i: "as-is", w: "withdraw", b: "box", z: "drop", n: "next", j: "next", p: "previous", k: "previous",
  pagedown: "next", pageup: "previous", arrowright: "next", arrowleft: "previous",
};

class Page {
  constructor() {
    this.stage = new Stage((box) => this._add(box));
    this.place = 0;
    this.pictures = [];
    this.draft = new Draft(this.stage, (box) => this._add(box));
    byId("all").addEventListener("change", () => this._list());
    listen({ keys: KEYS, isDrawing: () => this.draft.isOpen, act: (what, how) => this.act(what, how) });
    this._list().finally(() => { document.body.dataset.ready = "true"; });
  }

  get picture() {
    return this.pictures[this.place];
  }

  async _list() {
    try {
      const told = await (await ask(`images?limit=5000${byId("all").checked ? "&all=true" : ""}`)).json();
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

  act(what, how = { corner: false, far: false }) {
    if (this.draft.isOpen) this.draft.act(what, how);
    else if (what === "next" || what === "previous") this._go(this.place + (what === "next" ? 1 : -1));
    else if (!this.about) return;
    else if (what === "approve") this._approve(false);
    else if (what === "as-is") this._ask();
    else if (what === "withdraw") this._change("It is held again.", { method: "DELETE" });
    else if (what === "drop") this._drop();
    else if (what === "box") this._begin();
  }

  _go(place) {
    if (this.draft.isOpen || place < 0 || place >= this.pictures.length) return;
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
    return this._change("It may leave.", json("PUT", { as_is: asIs, boxes: asIs ? [] : this.stage.boxes }));
  }

  async _change(told, options) {
    const name = this.picture.patient;
    byId("badge").dataset.state = "pending";
    byId("badge").textContent = "Saving";
    try {
      await ask(at(this.picture.image_id, "/approval"), options);
      byId("badge").dataset.state = "saved";
      byId("badge").textContent = "Saved";
      const { place } = this;
      await this._list();
      if (options.method === "PUT" && !byId("all").checked && this.pictures.length) this._go(Math.min(place, this.pictures.length - 1));
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
    this.draft.begin([width * 0.4, height * 0.45, width * 0.6, height * 0.55]);
  }

  _tell(text, isBad = false) {
    byId("told").textContent = text;
    byId("told").classList.toggle("bad", isBad);
  }
}

new Page();

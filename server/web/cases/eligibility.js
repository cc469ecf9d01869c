// Whether an image is fit to learn from: what the data say, and the reader, whose word counts more.

import { byId, made } from "../../qa/web/dom.js";
import * as api from "./api.js";

const NOTE = "eligibility";
const SAYINGS = { eligible: "eligible", shadow: "shadow over the lesion", place_unclear: "place unclear", moves_too_much: "moves too much", leaves_picture: "leaves the picture", poor_picture: "poor picture" };

export class Eligibility {
  /** @param {string} image @param {(reading: {classes: Object<string, string>}, told: string) => void} say */
  constructor(image, say) {
    this._image = image;
    this._say = say;
    /** @type {string} */ this._said = "";
    this._buttons = Object.entries(SAYINGS).map(([name, words], place) => {
      const button = made("button");
      button.type = "button";
      button.append(made("kbd", "", `\u21e7${place + 1}`), ` ${words}`);
      button.addEventListener("click", () => this.choose(place));
      return button;
    });
    byId("sayings").replaceChildren(...this._buttons);
    this._section = /** @type {HTMLDetailsElement} */ (byId("eligibility"));
    this._section.addEventListener("toggle", async () => {
      await this.examine();
      if (this._section.open) this._section.scrollIntoView({ block: "nearest" });
    });
  }

  /** Say it; again the same takes it back. @param {number} place */
  choose(place) {
    const [name, words] = Object.entries(SAYINGS)[place] || [];
    if (!name) return;
    const isSame = this._said === name;
    this._say({ classes: { [NOTE]: isSame ? "" : name } }, isSame ? "Your word is taken back." : `You say: ${words}.`);
  }

  /** Show what the reader says now. @param {Object<string, string>} classes */
  showSaid(classes) {
    this._said = classes[NOTE] || "";
    for (const [place, name] of Object.keys(SAYINGS).entries()) this._buttons[place].setAttribute("aria-pressed", String(this._said === name));
    if (!this._section.open) this._wait();
  }

  _wait() {
    byId("fit").textContent = this._said ? `Fit to learn from? You say: ${SAYINGS[this._said]}` : "Fit to learn from?";
  }

  /** Ask the server what speaks against the image, and show it; it may read the whole study for that, so only where somebody looks. */
  async examine() {
    const asked = this._asked = (this._asked || 0) + 1;
    this._wait();
    if (!this._section.open) return;
    const told = await api.eligibility(this._image).catch((failure) => ({ failure }));
    if (asked !== this._asked) return;
    byId("fit").textContent = told.failure ? "Fit to learn from: nobody knows" : verdict(told);
    const lines = told.failure ? [told.failure.message] : told.flags.map(({ flag, why, criterion }) => `${SAYINGS[flag] ? `${SAYINGS[flag]}: ` : ""}${why} (${criterion})`);
    byId("flags").replaceChildren(...lines.map((text) => made("li", "", text)));
  }
}

function verdict({ eligible, said, flags }) {
  if (eligible) return flags.length ? "Fit to learn from, you say, in spite of:" : "Fit to learn from";
  return said ? "Not fit to learn from, you say:" : `Paper 002 leaves it out, for ${flags.length} reason${flags.length > 1 ? "s" : ""}:`;
}

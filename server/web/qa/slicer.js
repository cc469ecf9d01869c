// To 3D Slicer and back: the boxes of the study that is read, as files of markups.

import * as api from "./api.js";
import { byId } from "./dom.js";

const NAME = "candidates.mrk.json";

export class SlicerFiles {
  /**
   * @param {{reading: () => ?import("./reading.js").Reading, flushed: () => Promise<void>, failed: (failure: Error) => void, back: (study: string, told: string) => void}} page
   */
  constructor(page) {
    this._page = page;
    byId("slicer-get").addEventListener("click", () => this._do((reading) => this._get(reading)));
    byId("slicer-send").addEventListener("click", () => byId("slicer-files").click());
    byId("slicer-files").addEventListener("change", ({ target }) => target.files.length && this._do((reading) => this._send(reading, target)));
  }

  async _do(work) {
    const reading = this._page.reading();
    if (!reading) return;
    try {
      await this._page.flushed(); // the server goes by what it knows
      await work(reading);
    } catch (failure) {
      this._page.failed(failure);
    }
  }

  async _get(reading) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await api.boxes(reading.study));
    link.download = NAME;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  /** 3D Slicer saves a file for each box. */
  async _send(reading, input) {
    const markups = [];
    const files = [...input.files];
    input.value = "";
    for (const file of files) {
      try {
        markups.push(...JSON.parse(await file.text()).markups);
      } catch {
        throw new Error(`${file.name} is no markups file of 3D Slicer. Choose the .mrk.json files that it saved.`);
      }
    }
    let told = "What was saved in 3D Slicer is your reading of this study now.";
    try {
      await api.saveBoxes(reading.image, new File([JSON.stringify({ markups })], NAME, { type: "application/json" }));
    } catch (failure) {
      if (!(failure instanceof api.RefusedError)) throw failure;
      told = failure.message;
    }
    this._page.back(reading.study, told);
  }
}

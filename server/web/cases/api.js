// What the pages ask of the server. Addresses are relative to this module, so that a proxy may put the server anywhere.

import { READER, RefusedError, asking, json } from "../../qa/web/ask.js";

const API = new URL("../api/v1/", import.meta.url);

/**
 * @typedef {[number, number, number, number]} Box left, top, right, bottom in pixels
 * @typedef {{name: string, description: string, version: string, notes: string, note: string, classes: string[], absent: ?string, options: string[]}} Model
 * @typedef {{version: number, by: string, at: string, model: string, classes: Object<string, string>, removed: boolean, restored_from: ?number}} Said
 * @typedef {{width: number, height: number, frames: number, times_s: ?number[], timing: string, onset: number}} Picture
 * @typedef {{image: string, reader: string, patient: string, description: string, frames: number, place: number, count: number, previous: ?string, next: ?string, models: Model[], reading: {version: number, classes: Object<string, string>, boxes: Box[], beside: Box[], frames: number[], unreadable: string}, history: Said[], picture: Picture, viewer: ?string}} Case
 * @typedef {{result: string, probabilities: Object<string, number>, model_version: string, frame?: number, roi?: Box, roi_from?: string, has_attention: boolean, curve: ?{width: number, left: number, right: number, from_s: number, to_s: number}, warnings: string[]}} Answer
 */

const ask = asking(API);
const at = (image, rest = "") => `images/${encodeURIComponent(image)}${rest}`;
const queried = (options) => (Object.keys(options).length ? `?${new URLSearchParams(options)}` : "");

export const images = async () => (await ask("images?limit=5000")).json();
/** @returns {Promise<Case>} */
export const opened = async (image) => (await ask(at(image))).json();
/** @returns {Promise<Answer>} */
export const answered = async (image, model, options, signal) =>
  (await ask(at(image, `/models/${model}${queried(options)}`), { signal })).json();
export const eligibility = async (image) => (await ask(at(image, "/eligibility"))).json();
export const framePicture = async (image, frame) => createImageBitmap(await (await ask(at(image, `/frames/${frame}.png`))).blob());
export const attentionPicture = async (image, model, options) =>
  createImageBitmap(await (await ask(at(image, `/models/${model}/attention.png${queried(options)}`))).blob());
export const curvePicture = async (image, model, options) =>
  URL.createObjectURL(await (await ask(at(image, `/models/${model}/curve.png${queried(options)}`))).blob());

/**
 * Store what a reader said.
 * @param {import("./reading_outbox.js").ReadingEvent[]} events one
 * @param {string} seen version that the reader had seen
 */
export async function send([{ id, type, image, ...said }], seen) {
  const { patient, ...reading } = said;
  try {
    const answer = type === "undo" ? ask(at(image, `/reading${queried({ id, seen })}`), { method: "DELETE" })
      : ask(at(image, "/reading"), json("PUT", { id, seen: Number(seen), ...reading }));
    const { version } = await (await answer).json();
    return { results: [{ id, status: "stored" }], etag: String(version) };
  } catch (failure) {
    if (type !== "undo" || !(failure instanceof RefusedError)) throw failure;
    return { results: [{ id, status: "dropped", reason: failure.message }], etag: "" };
  }
}

/** Where the page of an image is, or without one the list. @param {string} [image] */
export const page = (image) =>
  new URL(image ? encodeURIComponent(image) : "../cases", new URL("../", import.meta.url)) + (READER ? `?reader=${encodeURIComponent(READER)}` : "");

// What the pages ask of the server. Addresses are relative to this module, so that a proxy may put the server anywhere.

const API = new URL("../api/v1/images", import.meta.url);

/**
 * @typedef {[number, number, number, number]} Box left, top, right, bottom in pixels
 * @typedef {{name: string, description: string, version: string, notes: string, note: string, classes: string[], absent: ?string, options: string[]}} Model
 * @typedef {{version: number, by: string, at: string, model: string, classes: Object<string, string>, removed: boolean, restored_from: ?number}} Said
 * @typedef {{width: number, height: number, frames: number, times_s: ?number[], timing: string}} Picture
 * @typedef {{image: string, patient: string, description: string, frames: number, place: number, count: number, previous: ?string, next: ?string, models: Model[], reading: {version: number, classes: Object<string, string>, boxes: Box[], beside: Box[], frame: ?number}, history: Said[], picture: Picture}} Case
 * @typedef {{result: string, probabilities: Object<string, number>, model_version: string, frame?: number, roi?: Box, has_attention: boolean, curve: ?{width: number, left: number, right: number, from_s: number, to_s: number}, warnings: string[]}} Answer
 */

export class RefusedError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Where nobody logs in, who reads is whom the address of the page names: /cases?reader=anna
export const READER = new URLSearchParams(location.search).get("reader");
const WHO = READER ? { "X-Hepatic-Reader": READER.replace(/[^\x20-\x7e]/g, "").slice(0, 64) } : {};

/** @param {string} path @param {RequestInit} [options] */
async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`${API}${path}`, { cache: "no-store", ...options, headers: { ...WHO, ...options.headers } });
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new RefusedError(0, "The server does not answer. Try again.");
  }
  if (answer.status === 401) {
    location.assign(new URL(`../../login?next=${encodeURIComponent(location.pathname + location.search)}`, import.meta.url));
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new RefusedError(answer.status, typeof told.detail === "string" ? told.detail : `The server answered ${answer.status}.`);
  }
  return answer;
}

const at = (image, rest = "") => `/${encodeURIComponent(image)}${rest}`;
const queried = (options) => (Object.keys(options).length ? `?${new URLSearchParams(options)}` : "");

export const images = async () => (await ask("?limit=5000")).json();
/** @returns {Promise<Case>} */
export const opened = async (image) => (await ask(at(image))).json();
/** @returns {Promise<Answer>} */
export const answered = async (image, model, options, signal) =>
  (await ask(at(image, `/models/${model}${queried(options)}`), { signal })).json();
export const framePicture = async (image, frame) => createImageBitmap(await (await ask(at(image, `/frames/${frame}.png`))).blob());
export const attentionPicture = async (image, model, options) =>
  createImageBitmap(await (await ask(at(image, `/models/${model}/attention.png${queried(options)}`))).blob());
export const curvePicture = async (image, model, options) =>
  URL.createObjectURL(await (await ask(at(image, `/models/${model}/curve.png${queried(options)}`))).blob());
export const say = async (image, reading) =>
  (await ask(at(image, "/reading"), { method: "PUT", body: JSON.stringify(reading), headers: { "Content-Type": "application/json" } })).json();
export const takeBack = async (image, seen) => (await ask(at(image, `/reading?seen=${seen}`), { method: "DELETE" })).json();

/** Where the page of an image is, or without one the list. @param {string} [image] */
export const page = (image) =>
  new URL(image ? encodeURIComponent(image) : "../cases", new URL("../", import.meta.url)) + (READER ? `?reader=${encodeURIComponent(READER)}` : "");

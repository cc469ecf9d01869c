// What the page asks of the server. Every address is relative to this module, so that a proxy may put the server anywhere.

import { READER, asking, json } from "./ask.js";

const API = new URL("../api/v1/", import.meta.url);

/**
 * @typedef {[number, number, number, number, number, number]} Box (x, y, z, x, y, z), LPS millimetres
 * @typedef {{candidate: string, order: number, key_slice: number, box: Box, slices: number, decision: ?{id?: string, verdict: string}}} Card
 * @typedef {{id: string, expires_at: string, seconds: number}} Lease
 * @typedef {{primary: ?string, missed: boolean, boxes: {event: string, box: Box}[], finished: boolean, finalised: boolean}} ReadingState
 * @typedef {{study_uid: string, patient_id: string, date: string, content: string, reference: string, image_ids: Object<string, string>, cards: Card[], warnings: string[], kind: "reading" | "boxing", asks: "detection" | "classification", classes: string[], boxing?: "missed" | "unlikely", state: ReadingState}} Study
 * @typedef {{study: Study, lease: Lease, next: string[], etag: string, viewer?: ?string}} Leased
 * @typedef {{candidate: string, frames: number, times_s: ?number[], size: [number, number], columns: number, keys: {name: string, frame: ?number, time_s: ?number}[], boxes: Edges[]}} ImageCard on the layout of images that are classified
 * @typedef {[number, number, number, number]} Edges left, top, right, bottom
 * @typedef {{candidate: string, phases: string[], missing: string[], slices: number[], key: number, inside: [number, number], offsets_mm: number[], tile_px: number, mm_per_px: number, box: Edges, left: string, top: string, axial: Object<string, Edges>, coronal: Object<string, Edges>}} CardLayout
 * @typedef {{size_px: [number, number], mm_per_px: number, per_picture: number, slices: number, to_lps: number[][], headwards: boolean, left: string, top: string, focus: Edges}} StackLayout
 * @typedef {{name: string, label: string, width: number, levels: Object<string, number>}} WindowPreset
 * @typedef {{study: string, content: string, anew: boolean, phases: {phase: string, scanned: boolean, told_by: string, registered: string}[], reference: string, windows: WindowPreset[], cards: Object<string, CardLayout>, stack: StackLayout}} Layout
 * @typedef {{id: string, type: string, study: string, candidate?: string, verdict?: string, box?: Box, of?: string, shown_at?: number, decided_at?: number, hidden_ms?: number, device?: string}} ReviewEvent
 */

export { OfflineError, RefusedError, uuid } from "./ask.js";

const ask = asking(API);

// /qa?kind=classification gives images to be classified only, ?kind=detection lesions only
const KIND = new URLSearchParams(location.search).get("kind") || "";

/** @param {string} path @param {unknown} body @param {Object<string, string>} [headers] */
const posted = (path, body, headers = {}) => ask(path, json("POST", body, headers));

const at = (study) => `studies/${encodeURIComponent(study)}`;

/** @param {number} [limit] of the studies that are told */
export const queue = async (limit = 200) => (await ask(`queue?${new URLSearchParams({ limit: String(limit), ...(KIND && { kind: KIND }) })}`)).json();

/** @param {string} [study] @returns {Promise<?Leased>} null when nothing is left */
export async function lease(study) {
  const answer = await posted(KIND ? `lease?${new URLSearchParams({ kind: KIND })}` : "lease", study ? { study } : {});
  return answer.status === 204 ? null : answer.json();
}

/** @param {string} id @returns {Promise<Lease>} */
export const renew = async (id) => (await (await posted(`lease/${encodeURIComponent(id)}/renew`, {})).json()).lease;

/** @param {string} id */
export const release = (id) => ask(`lease/${encodeURIComponent(id)}`, { method: "DELETE", keepalive: true });

/**
 * @param {ReviewEvent[]} events of one study
 * @param {string} seen the tag of what was seen of it; empty to send them anyhow
 * @returns {Promise<{results: {id: string, status: string, reason?: string}[], etag: string}>}
 */
export const send = async (events, seen) => (await posted("events", { events }, seen ? { "If-Match": seen } : {})).json();

/** @param {string} study @param {string} [content] of the preparation that is wanted; the last by default @returns {Promise<Layout>} */
export const layout = async (study, content = "") => (await ask(`${at(study)}/layout?${new URLSearchParams({ content })}`)).json();

/** What 3D Slicer opens. @param {string} study @returns {Promise<Blob>} */
export const boxes = async (study) => (await ask(`${at(study)}/boxes`)).blob();

/** Save boxes as the final label of an image, and so as a reading of its study. @param {string} image @param {File} file */
export function saveBoxes(image, file) {
  const body = new FormData();
  body.append("label", file);
  body.append("params", JSON.stringify(READER ? { client_id: READER } : {}));
  return ask(`../../../datastore/label?${new URLSearchParams({ image, tag: "final" })}`, { method: "PUT", body });
}

/** @param {string} study @returns {Promise<any>} */
export const state = async (study) => (await ask(at(study))).json();

/** @param {Layout} layout @param {string} candidate @param {string} preset of an image, ``frame 12`` is that frame alone @returns {Promise<Blob>} */
export async function card({ study, content }, candidate, preset) {
  const frame = /^frame (\d+)$/.exec(preset);
  const asked = new URLSearchParams({ ...(frame ? { frame: frame[1] } : { window: preset }), content });
  return (await ask(`${at(study)}/candidates/${encodeURIComponent(candidate)}/card.png?${asked}`)).blob();
}

/** @param {Layout} layout @param {string} phase @param {string} preset @param {number} first @returns {Promise<Blob>} */
export const stack = async ({ study, content }, phase, preset, first) =>
  (await ask(`${at(study)}/stack.png?${new URLSearchParams({ phase, window: preset, first: String(first), content })}`)).blob();

export const progress = async () => (await ask("progress")).json();
/** @param {string} model a classifier of ultrasound; empty for the detector */
export const propose = async (model) => (await posted("propose", { model })).json();
/** @param {string} model as ``propose`` */
export const train = async (model) => (await posted("train", { model })).json();
export const disputed = async () => (await ask("adjudication")).json();
/** The page on which an image is looked at and boxed. @param {string} image */
export const casePage = (image) =>
  new URL(`../../cases/${encodeURIComponent(image)}`, import.meta.url) + (READER ? `?reader=${encodeURIComponent(READER)}` : "");
/** @param {{id: string, study: string, candidate: string, verdict?: string, primary?: boolean}} settled */
export const settle = async (settled) => (await posted("adjudication", settled)).json();
/** Without ``apply`` it only tells what would be rejected. @param {{apply?: boolean, id?: string, threshold?: number}} asked */
export const batchReject = async (asked) => (await posted("batch-reject", asked)).json();
/** @param {string} id */
export const undoBatch = (id) => ask(`batch-reject/${encodeURIComponent(id)}`, { method: "DELETE" });

/** Server-sent events of a job. @param {string} id */
export const jobEvents = (id) => new EventSource(new URL(`../../jobs/${encodeURIComponent(id)}/events`, import.meta.url));

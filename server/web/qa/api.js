// What the page asks of the server. Every address is relative to this module, so that a proxy may put the server anywhere.

const API = new URL("../api/v1/", import.meta.url);

/**
 * @typedef {[number, number, number, number, number, number]} Box (x, y, z, x, y, z), LPS millimetres
 * @typedef {{candidate: string, order: number, key_slice: number, box: Box, slices: number, decision: ?{id?: string, verdict: string}}} Card
 * @typedef {{id: string, expires_at: string, seconds: number}} Lease
 * @typedef {{primary: ?string, missed: boolean, boxes: {event: string, box: Box}[], finished: boolean, finalised: boolean}} ReadingState
 * @typedef {{study_uid: string, patient_id: string, date: string, content: string, reference: string, image_ids: Object<string, string>, cards: Card[], warnings: string[], kind: "reading" | "boxing", asks: "detection" | "classification", classes: string[], boxing?: "missed" | "unlikely", state: ReadingState}} Study
 * @typedef {{study: Study, lease: Lease, next: string[], etag: string}} Leased
 * @typedef {{candidate: string, frames: number, times_s: ?number[], size: [number, number], columns: number, keys: {name: string, frame: ?number, time_s: ?number}[], boxes: Edges[]}} ImageCard on the layout of images that are classified
 * @typedef {[number, number, number, number]} Edges left, top, right, bottom
 * @typedef {{candidate: string, phases: string[], missing: string[], slices: number[], key: number, inside: [number, number], offsets_mm: number[], tile_px: number, mm_per_px: number, box: Edges, left: string, top: string, axial: Object<string, Edges>, coronal: Object<string, Edges>}} CardLayout
 * @typedef {{size_px: [number, number], mm_per_px: number, per_picture: number, slices: number, to_lps: number[][], headwards: boolean, left: string, top: string, focus: Edges}} StackLayout
 * @typedef {{name: string, label: string, width: number, levels: Object<string, number>}} WindowPreset
 * @typedef {{study: string, content: string, anew: boolean, phases: {phase: string, scanned: boolean, told_by: string, registered: string}[], reference: string, windows: WindowPreset[], cards: Object<string, CardLayout>, stack: StackLayout}} Layout
 * @typedef {{id: string, type: string, study: string, candidate?: string, verdict?: string, box?: Box, of?: string, shown_at?: number, decided_at?: number, hidden_ms?: number, device?: string}} ReviewEvent
 */

/** The server did not answer, or it cannot now: what was asked is to be asked again. */
export class OfflineError extends Error {
  /**
   * @param {string} message
   * @param {"offline" | "busy" | "full" | "failing"} [why] full: its disk
   * @param {number} [after] milliseconds that the server wants to be left alone
   */
  constructor(message, why = "offline", after = 0) {
    super(message);
    this.why = why;
    this.after = after;
  }
}

/** The server answered, and it was no. */
export class RefusedError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Another page of the same reader has said something that this one has not seen. */
export class StaleError extends RefusedError {
  /** @param {{detail: string, stored: ReviewEvent[], etag: string}} told */
  constructor(told) {
    super(409, told.detail);
    this.stored = told.stored;
    this.etag = told.etag;
  }
}

// Where nobody logs in, who reads is whom the address of the page names: /qa?reader=anna
const named = new URLSearchParams(location.search).get("reader");
const WHO = named ? { "X-Hepatic-Reader": named.replace(/[^\x20-\x7e]/g, "").slice(0, 64) } : {};

// /qa?kind=classification gives images to be classified only, ?kind=detection lesions only
const KIND = new URLSearchParams(location.search).get("kind") || "";

const LONGEST_WAIT_MS = 300_000;

/** What Retry-After says, in milliseconds. @param {Response} answer */
function waitOf(answer) {
  const told = answer.headers.get("Retry-After") || "0";
  const wait = Number.isNaN(Number(told)) ? Date.parse(told) - Date.now() : Number(told) * 1000;
  return Math.min(Math.max(wait || 0, 0), LONGEST_WAIT_MS);
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<Response>} */
async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(new URL(path, API), { cache: "no-store", ...options, headers: { ...WHO, ...options.headers } });
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new OfflineError("The server does not answer.");
  }
  if (answer.status === 401) {
    location.assign(new URL(`../../login?next=${encodeURIComponent(location.pathname + location.search)}`, import.meta.url));
    throw new OfflineError("You have to log in again.");
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    const isStarting = [502, 503, 504].includes(answer.status);
    if (isStarting) throw new OfflineError(told.detail || "The server is busy or is starting.", "busy", waitOf(answer));
    const detail = typeof told.detail === "string" ? told.detail : `The server answered with ${answer.status}.`;
    // asked too often, a full disk, a failure of the server: none of it says that what was sent is wrong
    const why = { 408: "busy", 429: "busy", 507: "full" }[answer.status] || (answer.status >= 500 && "failing");
    if (why) throw new OfflineError(detail, why, waitOf(answer));
    if (answer.status === 409 && Array.isArray(told.stored)) throw new StaleError(told);
    throw new RefusedError(answer.status, detail);
  }
  return answer;
}

/** @param {string} path @param {unknown} body @param {Object<string, string>} [headers] */
const posted = (path, body, headers = {}) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });

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
  body.append("params", JSON.stringify(named ? { client_id: named } : {}));
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
/** @param {{id: string, study: string, candidate: string, verdict?: string, primary?: boolean}} settled */
export const settle = async (settled) => (await posted("adjudication", settled)).json();
/** Without ``apply`` it only tells what would be rejected. @param {{apply?: boolean, id?: string, threshold?: number}} asked */
export const batchReject = async (asked) => (await posted("batch-reject", asked)).json();
/** @param {string} id */
export const undoBatch = (id) => ask(`batch-reject/${encodeURIComponent(id)}`, { method: "DELETE" });

/** Server-sent events of a job. @param {string} id */
export const jobEvents = (id) => new EventSource(new URL(`../../jobs/${encodeURIComponent(id)}/events`, import.meta.url));

/** A UUID; crypto.randomUUID is missing where a page comes by plain HTTP from another machine. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

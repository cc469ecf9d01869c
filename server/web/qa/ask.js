// How a page asks the server: who asks, and what its refusals mean.

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
  /** @param {{detail: string, stored: object[], etag: string}} told */
  constructor(told) {
    super(409, told.detail);
    this.stored = told.stored;
    this.etag = told.etag;
  }
}

/** Who reads where nobody logs in: whom the address of the page names, as /qa?reader=anna. */
export const READER = new URLSearchParams(location.search).get("reader");
const WHO = READER ? { "X-Hepatic-Reader": READER.replace(/[^\x20-\x7e]/g, "").slice(0, 64) } : {};

const LONGEST_WAIT_MS = 300_000;

/** What Retry-After says, in milliseconds. @param {Response} answer */
function waitOf(answer) {
  const told = answer.headers.get("Retry-After") || "0";
  const wait = Number.isNaN(Number(told)) ? Date.parse(told) - Date.now() : Number(told) * 1000;
  return Math.min(Math.max(wait || 0, 0), LONGEST_WAIT_MS);
}

/**
 * A function that asks below an address.
 * @param {URL} api ends with a slash; relative to the module that asks, so that a proxy may put the server anywhere
 * @returns {(path: string, options?: RequestInit) => Promise<Response>}
 */
export const asking = (api) => async (path, options = {}) => {
  let answer;
  try {
    answer = await fetch(new URL(path, api), { cache: "no-store", ...options, headers: { ...WHO, ...options.headers } });
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new OfflineError("The server does not answer.");
  }
  if (answer.status === 401) {
    location.assign(new URL(`../../login?next=${encodeURIComponent(location.pathname + location.search)}`, import.meta.url));
    throw new OfflineError("You have to log in again.");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  const isStarting = [502, 503, 504].includes(answer.status);
  if (isStarting) throw new OfflineError(told.detail || "The server is busy or is starting.", "busy", waitOf(answer));
  const detail = typeof told.detail === "string" ? told.detail : `The server answered with ${answer.status}.`;
  // asked too often, a full disk, a failure of the server: none of it says that what was sent is wrong
  const why = { 408: "busy", 429: "busy", 507: "full" }[answer.status] || (answer.status >= 500 && "failing");
  if (why) throw new OfflineError(detail, why, waitOf(answer));
  if (answer.status === 409 && Array.isArray(told.stored)) throw new StaleError(told);
  throw new RefusedError(answer.status, detail);
};

/** Options of a request with a JSON body. @param {string} method @param {unknown} body @param {Object<string, string>} [headers] */
export const json = (method, body, headers = {}) => ({ method, body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } });

/** A UUID; crypto.randomUUID is missing where a page comes by plain HTTP from another machine. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// How classes and numbers are written for people.

export { plain as classWord } from "../../qa/web/dom.js";

/** @param {string} note */
export const noteWord = (note) => note.replaceAll("_", " ");

/** @param {number} share */
export const percent = (share) => (share > 0.995 ? "> 99 %" : share < 0.005 ? "< 1 %" : `${Math.round(100 * share)} %`);

/** @param {number} seconds */
export const clock = (seconds) => `${seconds < 0 ? "\u2212" : ""}${Math.abs(seconds).toFixed(1)} s`;

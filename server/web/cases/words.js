// How classes and numbers are written for people.

const SHORT = { hcc: "HCC", fnh: "FNH", icc: "ICC", non_hcc: "not HCC", homogeneous: "no lesion" };

/** @param {string} name */
export const classWord = (name) => SHORT[name] || name.replaceAll("_", " ");

/** @param {string} note */
export const noteWord = (note) => note.replaceAll("_", " ");

/** @param {number} share */
export const percent = (share) => (share > 0.995 ? "> 99 %" : share < 0.005 ? "< 1 %" : `${Math.round(100 * share)} %`);

/** @param {number} seconds */
export const clock = (seconds) => `${seconds < 0 ? "\u2212" : ""}${Math.abs(seconds).toFixed(1)} s`;

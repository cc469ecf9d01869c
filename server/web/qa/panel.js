// Everything on the page that is words: badge, progress, buttons, what was said.

import { phaseName } from "./card.js";
import { byId, made, plain } from "./dom.js";

const MARKS = { true: "✓", false: "✕", unsure: "?" };
const ANEW = "The study was prepared anew since these candidates were proposed: the pictures are of the new preparation.";
const SAID = { true: "true lesion", false: "false", unsure: "unsure" };

/** @param {string} verdict */
export const said = (verdict) => SAID[verdict] || (verdict ? plain(verdict) : "not decided");

/** Say something, also to those who do not see the page. @param {string} text @param {boolean} [isBad] */
export function tell(text, isBad = false) {
  byId("told").textContent = text;
  byId("told").classList.toggle("bad", isBad);
}

/** Say which candidate is shown, or that all are decided. @param {import("./reading.js").Reading} reading */
export function announce(reading) {
  if (!reading.card) {
    if (reading.isClasses) tell("All images of this study are decided. Space finishes it.");
    else tell(reading.isEmpty ? "This study is to be boxed by hand: B draws a box; N finishes it if there is no lesion to draw."
      : `All candidates of this study are decided. ${reading.missed ? "A lesion was missed. " : ""}Space finishes it.`);
    return;
  }
  const { missing = [] } = reading.layout.cards[reading.card.candidate];
  const text = `${capital(reading.noun)} ${reading.at + 1} of ${reading.cards.length}, ${said(reading.verdict)}.` +
    (missing.length ? ` Not scanned: ${missing.map((phase) => phaseName(phase).toLowerCase()).join(", ")}.` : "");
  byId("card").setAttribute("aria-label", text);
  tell(text);
}

/** @param {?import("./reading.js").Reading} reading @param {(place: number) => void} go */
export function showReading(reading, go) {
  byId("study").textContent = reading ? reading.label : "";
  byId("place").textContent = !reading ? "" : reading.card
    ? `${reading.noun} ${reading.at + 1} of ${reading.cards.length}` : `${reading.decided} of ${reading.cards.length} decided`;
  const count = reading ? reading.cards.length : 0;
  const dots = byId("dots");
  while (dots.children.length > count) dots.lastChild.remove();
  while (dots.children.length < count) {
    const place = dots.children.length;
    const button = made("button");
    button.type = "button";
    button.addEventListener("click", () => {
      button.blur();
      go(place);
    });
    const item = made("li");
    item.append(button);
    dots.append(item);
  }
  reading?.cards.forEach((card, place) => {
    const verdict = reading.verdicts.get(card.candidate);
    const button = dots.children[place].firstChild;
    button.className = verdict in MARKS ? verdict : verdict ? "true" : "open";
    button.textContent = MARKS[verdict] || (verdict ? MARKS.true : String(place + 1));
    if (reading.primary === card.candidate) button.textContent += "P";
    button.setAttribute("aria-label", `${capital(reading.noun)} ${place + 1}: ${said(verdict)}${reading.primary === card.candidate ? ", primary" : ""}`);
    button.toggleAttribute("aria-current", place === reading.at);
  });
  showClasses(reading);
  const isPrimary = Boolean(reading?.card && reading.primary === reading.card.candidate);
  byId("verdict").textContent = reading?.card ? said(reading.verdict) + (isPrimary ? ", primary tumour" : "") : "—";
  press("primary", isPrimary);
  press("missed", Boolean(reading?.missed));
  for (const verdict of Object.keys(MARKS)) press(verdict, Boolean(reading?.card) && reading.verdict === verdict);
  const warnings = reading ? [...reading.warnings, ...unregistered(reading), ...(reading.layout.anew ? [ANEW] : [])] : [];
  byId("warnings").hidden = !warnings.length;
  byId("warnings").querySelector("ul").replaceChildren(...warnings.map((warning) => made("li", "", warning)));
}

const unregistered = (reading) =>
  (reading.layout.phases || []).filter((one) => one.scanned && one.registered === "none")
    .map((one) => `The ${one.phase} phase is not registered: a lesion may lie beside its place.`);

/** @param {string} what @param {boolean} isOn */
export function press(what, isOn) {
  for (const button of document.querySelectorAll(`footer [data-do="${what}"]`)) button.setAttribute("aria-pressed", String(isOn));
}

const capital = (word) => word[0].toUpperCase() + word.slice(1);

/** Show what can be said: of lesions, or the classes of images; nothing where nothing is read. @param {?import("./reading.js").Reading} reading */
function showClasses(reading) {
  const isOfLesions = Boolean(reading) && !reading.isClasses;
  for (const id of ["window-now", "slicer", "where"]) byId(id).hidden = !isOfLesions;
  byId("verdict-now").hidden = !reading;
  byId("verdict-now").firstChild.textContent = `This ${reading?.noun || "candidate"}`;
  byId("class-bar").hidden = isOfLesions;
  byId("bar").hidden = !isOfLesions || !byId("box-bar").hidden;
  for (const button of document.querySelectorAll("#class-bar > :not([data-do=undo], [data-do=help], .viewer)")) button.hidden = !reading;
  for (const one of document.querySelectorAll("#help .lesions")) one.hidden = Boolean(reading?.isClasses);
  for (const one of document.querySelectorAll("#help .images")) one.hidden = isOfLesions;
  if (!reading?.isClasses) return;
  const names = byId("class-names");
  if (names.dataset.names !== reading.classes.join("\n")) {
    names.dataset.names = reading.classes.join("\n");
    names.replaceChildren(...reading.classes.map((name, place) => {
      const button = made("button", "", "");
      button.type = "button";
      button.dataset.do = `class-${place}`;
      button.append(made("kbd", "", String(place + 1)), ` ${plain(name)}`);
      return button;
    }));
  }
  reading.classes.forEach((name, place) => press(`class-${place}`, reading.verdict === name));
}

/** @param {import("./api.js").WindowPreset} preset @param {number} place @param {number} count */
export function showWindow(preset, place, count) {
  byId("window").textContent = `${preset.label}, width ${preset.width} HU (${place + 1} of ${count})`;
}

/** @param {{studies: number, seconds: number[]}} sitting */
export function showSitting({ studies, seconds }) {
  const sorted = seconds.slice().sort((a, b) => a - b);
  const median = sorted.length ? `, ${sorted[Math.floor(sorted.length / 2)].toFixed(1)} s each (median)` : "";
  byId("sitting").textContent = `${studies} ${studies === 1 ? "study" : "studies"}, ${seconds.length} ${seconds.length === 1 ? "decision" : "decisions"}${median}`;
}

/** A message in place of pictures. @param {?{title: string, lines: string[], actions?: [string, string][], links?: [string, string][]}} note */
export function showNote(note) {
  const box = byId("note");
  box.hidden = !note;
  byId("card").hidden = Boolean(note);
  if (!note) return;
  box.replaceChildren(made("h2", "", note.title), ...note.lines.map((line) => made("p", "", line)));
  const row = made("p", "actions");
  for (const [what, text] of note.actions || []) {
    const button = made("button", "", text);
    button.type = "button";
    button.dataset.do = what;
    row.append(button);
  }
  for (const [address, text] of note.links || []) {
    const link = made("a", "", text);
    link.href = address;
    row.append(link);
  }
  if (row.children.length) box.append(row);
}

/** Show the whole slice and the buttons for drawing a box, or the card and those for judging. @param {boolean} isOn */
export function showBoxing(isOn) {
  if (isOn) byId("card").hidden = true;
  byId("slice").hidden = byId("box-bar").hidden = !isOn;
  byId("bar").hidden = isOn;
}

function endOfImages(reading) {
  const counts = [...reading.classes, "unsure"].map((name) => [name, [...reading.verdicts.values()].filter((one) => one === name).length]);
  const lines = [counts.filter(([, count]) => count).map(([name, count]) => `${count} ${plain(name)}`).join(", ")];
  if (!reading.finished) return { title: "All images are decided", lines, actions: [["next", "Finish, next study (Space)"]] };
  if (reading.final) lines.push("Your reading is final.");
  return { title: "Finished", lines, actions: [["next", "Next study (Space)"], ...(reading.final ? [] : [["reopen", "Reopen"]])] };
}

/** What is said at the end of a study. @param {import("./reading.js").Reading} reading */
export function endOf(reading) {
  if (reading.isClasses) return endOfImages(reading);
  const counts = { true: 0, false: 0, unsure: 0 };
  for (const verdict of reading.verdicts.values()) counts[verdict] += 1;
  const lines = [];
  if (reading.cards.length) {
    lines.push(`${counts.true} true, ${counts.false} false, ${counts.unsure} unsure` +
      `${reading.primary ? "; the primary tumour is named" : ""}.`);
  } else if (!reading.toBox) lines.push("The detector proposed nothing here.");
  if (reading.boxes.size) lines.push(`${reading.boxes.size} ${reading.boxes.size === 1 ? "box" : "boxes"} drawn by hand.`);
  if (reading.toBox && !reading.boxes.size) {
    lines.push(reading.wasMissed ? "A reader said that a lesion was missed here. Draw a box round it (B)."
      : "The detector is unlikely to have found the lesions of this study. Draw a box round each (B).");
  }
  else if (reading.missed && !reading.boxes.size) lines.push("A lesion was missed: the study will be boxed by hand. Press B to draw it now.");
  else if (!counts.true && !reading.boxes.size) lines.push("No lesion was found. If there is one, press M, or B to draw it.");
  if (reading.finished) {
    const lines_ = reading.final ? [...lines, "Your reading is final."] : lines;
    return { title: "Finished", lines: lines_, actions: [["next", "Next study (Space)"], ...(reading.final ? [] : [["reopen", "Reopen"]])] };
  }
  if (reading.isEmpty) {
    lines.push("If there is no lesion to draw, say so: N finishes the study without one.");
    return { title: "To be boxed by hand", lines, actions: [["box", "Draw a box (B)"], ["no-lesion", "There is no lesion, finish (N)"]] };
  }
  return {
    title: reading.toBox ? "To be boxed by hand" : "All candidates are decided",
    lines,
    actions: [["next", "Finish, next study (Space)"], ["missed", "A lesion was missed (M)"], ["box", "Draw a box (B)"]],
  };
}

/** @param {string} why */
export const notOpened = (why) => ({
  title: "The study could not be opened", lines: [why], actions: [["again", "Try again"], ["studies", "Choose another study"]],
});

export const NOTHING_LEFT = {
  title: "Nothing is left to read",
  lines: ["Every study that a model has proposed is decided or is being read by somebody else.",
    "New studies come when a model proposes: on the dashboard, or with hepatic qa propose."],
  actions: [["again", "Look again"]],
  links: [["qa/dashboard", "Dashboard"]],
};

/** @param {any} queue @param {(study: string) => void} open */
export function showStudies(queue, open) {
  const dialog = byId("studies");
  const counts = Object.entries(queue.counts || {}).filter(([, count]) => count).map(([name, count]) => `${count} ${name}`);
  byId("studies-told").textContent = counts.length ? counts.join(", ") : "There are no proposed studies yet.";
  dialog.querySelector("tbody").replaceChildren(...queue.studies.map((study) => {
    const row = made("tr");
    const name = made("td");
    if (study.state === "leased") name.textContent = study.patient_label;
    else {
      const button = made("button", "link", study.patient_label);
      button.type = "button";
      button.addEventListener("click", () => {
        dialog.close();
        open(study.study);
      });
      name.append(button);
    }
    row.append(name, made("td", "", study.date || "–"), made("td", "", study.state), made("td", "", `${study.decided} of ${study.candidates}`));
    return row;
  }));
  dialog.showModal();
}

// What stands beside the picture: what the model says, what the reader says, who said what.

import { byId, made } from "../../qa/web/dom.js";
import { classWord, noteWord, percent } from "./words.js";

const AND = new Intl.ListFormat("en-GB");

/** @param {string} text @param {boolean} [isBad] */
export function tell(text, isBad = false) {
  const told = byId("told");
  told.textContent = text;
  told.classList.toggle("bad", isBad);
}

/** @param {import("./api.js").Case} told */
export function showCase(told) {
  document.title = `hepatic: ${told.patient}`;
  byId("patient").textContent = `${told.patient}${told.description ? `, ${told.description}` : ""}`;
  byId("place").textContent = `Image ${told.place} of ${told.count}`;
  byId("model").replaceChildren(...told.models.map((model) => {
    const option = made("option", "", model.name);
    option.value = model.name;
    return option;
  }));
  const history = told.history.map((said) => made("li", "", sentence(said)));
  byId("history").replaceChildren(...(history.length ? history : [made("li", "", "Nobody has said anything yet.")]));
}

function sentence(said) {
  const classes = Object.entries(said.classes).filter(([, name]) => name).map(([note, name]) => `${noteWord(note)} ${classWord(name)}`);
  const what = said.removed ? "took everything back"
    : said.restored_from ? `put version ${said.restored_from} back`
      : classes.join(", ") || (said.model ? `kept what ${said.model} drew` : Object.keys(said.classes).length ? "took the class back" : "drew boxes");
  return `${new Date(said.at).toLocaleString()}: ${said.by || "somebody"}: ${what}`;
}

/** What the reader says, as far as the classes of this model go. */
export function showReading(told, model, choose) {
  const chosen = model && told.reading.classes[model.note];
  byId("yours").textContent = model ? `You say: ${noteWord(model.note)}` : "You say";
  byId("classes").replaceChildren(...(model ? model.classes : []).map((name, place) => {
    const button = made("button");
    button.type = "button";
    button.append(made("kbd", "", String(place + 1)), ` ${classWord(name)}`);
    button.setAttribute("aria-pressed", String(chosen === name));
    button.addEventListener("click", () => choose(name));
    return button;
  }));
  const count = told.reading.boxes.length;
  const frames = [...new Set(told.reading.frames)].sort((one, other) => one - other).map((frame) => String(frame + 1));
  const drawn = told.picture.frames > 1 && count ? `, drawn on frame${frames.length > 1 ? "s" : ""} ${AND.format(frames)}` : "";
  const beside = told.reading.beside.length ? "; dashed on the image beside" : "";
  byId("boxes").textContent = count ? `${count} box${count > 1 ? "es" : ""}${drawn}${beside}`
    : told.reading.unreadable ? `What was drawn cannot be read: draw it again. (${told.reading.unreadable})` : "No box is drawn.";
}

/** @param {import("./api.js").Model} model @param {?import("./api.js").Answer} answer @param {string} [refused] */
export function showAnswer(model, answer, refused = "") {
  const result = byId("result");
  result.classList.toggle("refused", Boolean(refused));
  result.classList.toggle("waits", Boolean(answer) && isOfNoLesion(answer));
  result.textContent = refused || (answer ? conclusion(answer) : "\u2026");
  byId("bars").replaceChildren(...(answer ? bars(model, answer) : []));
  byId("model-about").textContent = `${model.description}; version ${answer?.model_version || model.version}`;
  byId("notes").textContent = model.notes || "Its card does not say what it was trained on.";
  const warnings = answer?.warnings || [];
  byId("warnings").hidden = !warnings.length;
  byId("warnings").querySelector("ul").replaceChildren(...warnings.map((text) => made("li", "", text)));
  byId("opacity").hidden = !answer?.has_attention;
}

/** Whether a model that judges a lesion was not told where it is. */
function isOfNoLesion(answer) {
  return answer.roi_from === "whole image";
}

function conclusion(answer) {
  if (isOfNoLesion(answer)) return "Draw the lesion's box";
  const { result, probabilities } = answer;
  const share = probabilities[result] ?? 1 - Object.values(probabilities)[0]; // a class beside the labels: the first of them is not there
  return `${classWord(result)}, ${percent(share)}`;
}

function bars(model, answer) {
  const { result, probabilities } = answer;
  const isAbsent = model.absent !== null && result === model.absent;
  return Object.entries(probabilities).map(([name, share], place) => {
    const isDim = isOfNoLesion(answer) || (isAbsent && place > 0);
    const line = made("div", isDim ? "dim" : name === result ? "concluded" : "");
    const track = made("div", "track");
    const fill = made("i");
    fill.style.width = `${100 * share}%`;
    track.ariaHidden = "true";
    track.append(fill);
    line.append(made("dt", "", classWord(name)), track, made("dd", "", percent(share)));
    return line;
  });
}

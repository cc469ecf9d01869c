// The list of ultrasound images.

import { byId, made } from "../../qa/web/dom.js";
import * as api from "./api.js";
import { classWord } from "./words.js";

const body = document.querySelector("tbody");

function row(one) {
  const tr = made("tr", one.read_by === null ? "unread" : "");
  const link = made("a", "", one.patient);
  link.href = api.page(one.image);
  const classes = [...new Set(Object.values(one.classes).map(classWord))].join(", ");
  const first = made("td");
  first.append(link);
  tr.append(first, ...[one.description, one.frames > 1 ? String(one.frames) : "still", classes, one.read_by || (one.read_by === null ? "" : "somebody")]
    .map((text) => made("td", "", text)));
  tr.addEventListener("click", () => link.click());
  link.addEventListener("click", (event) => event.stopPropagation());
  return tr;
}

const links = () => [...body.querySelectorAll("a")];

function step(by) {
  const all = links();
  const now = all.indexOf(document.activeElement);
  all[Math.max(0, Math.min(all.length - 1, now + by))]?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const by = { arrowdown: 1, j: 1, arrowup: -1, k: -1, pagedown: 15, pageup: -15, home: -1e9, end: 1e9 }[event.key.toLowerCase()];
  if (by) {
    event.preventDefault();
    step(by);
  } else if (event.key.toLowerCase() === "n") {
    body.querySelector(".unread a")?.click();
  }
});

try {
  const told = await api.images();
  body.replaceChildren(...told.images.map(row));
  const unread = told.images.filter((one) => one.read_by === null).length;
  byId("count").textContent = told.count
    ? `${told.count} image${told.count === 1 ? "" : "s"}, ${unread} not read yet${told.count > told.images.length ? `; the first ${told.images.length} are listed` : ""}`
    : "There are no ultrasound images yet.";
  links()[0]?.focus();
} catch (failure) {
  byId("count").textContent = failure.message;
}
document.body.dataset.ready = "true";

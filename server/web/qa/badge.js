// Whether what the reader did is saved, still here, or refused; and what can be done then.

import { byId, made } from "./dom.js";

const TROUBLES = {
  offline: "Offline", busy: "Server busy, trying again", full: "Server's disk is full, trying again",
  failing: "Server fails, trying again",
};

/** @param {import("./outbox.js").Outbox} outbox */
export function showBadge(outbox) {
  const badge = byId("badge");
  const [pending, refused] = [outbox.pending.length, outbox.refused.length];
  let [text, state] = ["Saved", "saved"];
  if (refused) [text, state] = [`${refused} refused`, "failed"];
  else if (outbox.trouble) [text, state] = [`${TROUBLES[outbox.trouble]}${pending ? `, ${pending} kept here` : ""}`, "pending"];
  else if (pending) [text, state] = [`${pending} being saved`, "pending"];
  if (!outbox.isDurable && pending) text += " (this browser keeps nothing: leave the page open)";
  if (badge.dataset.state === state && badge.textContent === text) return;
  badge.dataset.state = state;
  badge.replaceChildren();
  if (refused) {
    const button = made("button", "", text);
    button.type = "button";
    button.addEventListener("click", () => showRefused(outbox));
    badge.append(button);
  } else badge.textContent = text;
}

function showRefused(outbox) {
  const dialog = byId("refused");
  dialog.querySelector("ul").replaceChildren(
    ...outbox.refused.map(({ event, refused }) =>
      made("li", "", `${outbox.wordsOf(event)}: ${refused}`)));
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue === "retry") outbox.retry();
    if (dialog.returnValue === "discard") outbox.discard();
  };
  dialog.showModal();
}

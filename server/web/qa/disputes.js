// What readers disagree about or are unsure of: the key slice of each in all phases, and the buttons that settle it.

import * as api from "./api.js";
import { drawCard, sized } from "./card.js";
import { byId, made, plain } from "./dom.js";
import { KEYS } from "./image_stage.js";
import { Shelf } from "./shelf.js";

const SHOWN = 12;
const NONE_FITS = "None of these";

const shelf = new Shelf();

/**
 * Show what is to be settled.
 * @param {() => Promise<void>} settled called when a reviewer has settled one
 */
export async function showDisputed(settled) {
  let told;
  try {
    told = await api.disputed();
  } catch (failure) {
    const text = failure.status === 403 ? "Reviewers see here what readers disagree about." : failure.message;
    byId("disputed").replaceChildren(made("p", "dim", text));
    return;
  }
  if (!told.candidates.length) {
    byId("disputed").replaceChildren(made("p", "dim", "Nothing: readers disagree about nothing, and none was unsure."));
    return;
  }
  const list = made("div", "disputed");
  byId("disputed").replaceChildren(list);
  if (told.candidates.length > SHOWN) byId("disputed").append(made("p", "dim", `and ${told.candidates.length - SHOWN} more`));
  for (const one of told.candidates.slice(0, SHOWN)) list.append(dispute(one, settled));
}

function dispute({ study, patient_label, candidate, image, content, classes, votes, primary_for: primaryFor }, settled) {
  const card = made("article");
  const canvas = made("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", classes.length ? `Image of ${patient_label}` : `Key slice of a candidate of ${patient_label} in all phases`);
  const row = made("p", "row");
  const answers = primaryFor ? [[{ primary: true }, "This is the primary tumour"]]
    : classes.length ? [...classes.map((name) => [{ verdict: name }, plain(name)]), [{ verdict: "false" }, NONE_FITS]]
    : [[{ verdict: "true" }, "True lesion"], [{ verdict: "false" }, "False"]];
  const asked = primaryFor ? `Primary tumour for ${primaryFor.join(", ")}; others named another one`
    : Object.entries(votes).map(([reader, verdict]) => `${reader}: ${classes.includes(verdict) ? plain(verdict) : verdict}`).join(", ");
  for (const [answer, text] of answers) {
    const button = made("button", "", text);
    button.type = "button";
    button.addEventListener("click", async () => {
      row.querySelectorAll("button").forEach((one) => (one.disabled = true));
      try {
        await api.settle({ id: api.uuid(), study, candidate, ...answer });
        const told = `Settled: ${classes.length ? text : text.toLowerCase()}.` +
          (text === NONE_FITS ? " Trainings of these classes leave the image out." : "");
        byId("said").textContent = told;
        row.replaceChildren(told, ...row.querySelectorAll("a"));
        await settled();
      } catch (failure) {
        byId("said").textContent = failure.message;
        row.querySelectorAll("button").forEach((one) => (one.disabled = false));
      }
    });
    row.append(button);
  }
  if (classes.length) {
    const link = made("a", "", "Case page");
    link.href = api.casePage(image);
    row.append(link);
  }
  card.append(made("strong", "", patient_label), made("p", "dim", asked), canvas, row);
  shelf.layout(study, content).then(async (layout) => {
    if (classes.length) {
      drawImage(canvas, await shelf.card(layout, candidate, KEYS));
      return;
    }
    const picture = await shelf.card(layout, candidate, "liver");
    const known_ = layout.cards[candidate];
    drawCard(canvas, picture, known_, { width: 500, height: 124, middle: known_.key, ticks: true, preset: layout.windows[0], slices: 1, plain: true });
  }).catch((failure) => canvas.replaceWith(made("p", "dim", failure.message)));
  return card;
}

function drawImage(canvas, picture) {
  const scale = Math.min(500 / picture.width, 320 / picture.height);
  const [width, height] = [Math.round(picture.width * scale), Math.round(picture.height * scale)];
  const context = sized(canvas, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
}

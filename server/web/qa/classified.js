// The part of the dashboard about images that are classified: how far, how readers agree, and how classifiers compare.

import { bar, byId, made, plain, table } from "./dom.js";
import { figure } from "./plot.js";

const known = (value) => value !== null && value !== undefined;
const share = (value) => (known(value) ? `${Math.round(100 * value)} %` : "–");
const fixed = (value, places = 2) => (known(value) ? value.toFixed(places) : "–");

const judged = ({ cases }) => (known(cases) ? `${cases} image${cases === 1 ? "" : "s"}` : "images not counted");

/** @param {{classification: any[], classifiers: string[]}} told what ``progress`` tells */
export function showClassified({ classification, classifiers }) {
  const subject = byId("subject");
  for (const name of classifiers) {
    if ([...subject.options].some((option) => option.value === name)) continue;
    subject.append(new Option(`${name}: classes of ultrasound images`, name));
  }
  byId("classified").hidden = !classification.length;
  byId("classified-notes").replaceChildren(...classification.map(one));
}

function one({ note, model, images, studies, minutes, clicks, agreement, models, versions, readers }) {
  const root = made("article");
  const median = known(clicks.median_s) ? `, ${fixed(clicks.median_s, 1)} s each (median)` : "";
  root.append(
    made("h3", "", `${plain(note)}, proposed by ${model}`),
    bar("Images", [["named", images.classified, "c0"], ["unsure", images.unsure, "c1"], ["in conflict", images.conflict, "c5"],
      ["settled by a reviewer", images.adjudicated, "c2"], ["not judged", images.unreviewed, "c4"]], images.total),
    made("p", "dim", `${studies.done} of ${studies.total} studies done; ${fixed(minutes, 1)} minutes, ${clicks.clicks} decisions${median}.`),
  );
  if (agreement.candidates) {
    root.append(made("p", "", `Agreement on ${agreement.candidates} images that several judged: ${share(agreement.raw)} alike, ` +
      `Fleiss' kappa ${fixed(agreement.fleiss)}, Gwet's AC1 ${fixed(agreement.gwet)}` +
      `${agreement.cohen.map((pair) => `; ${pair.readers.join(" and ")} Cohen's kappa ${fixed(pair.kappa)} (${pair.candidates})`).join("")}.`));
  }
  if (readers.length) {
    root.append(table(["Reader", "Studies", "Decisions", "Median s", "Known images right", "Repeats alike"],
      readers.map(({ reader, studies: read, clicks: count, median_s, drift }) => [reader, read, count, fixed(median_s, 1),
        known(drift.right) ? `${share(drift.right)} of ${drift.known}` : "–", known(drift.same) ? `${share(drift.same)} of ${drift.repeats}` : "–"])));
  }
  const compared = Object.entries(models).filter(([, row]) => row.images || row.left_out);
  if (compared.length) {
    root.append(table(["Model", "Images that judge it", "Left out", "Accuracy", "AUC"],
      compared.map(([hash, row]) => [`${row.model} ${hash.slice(0, 8)}`, row.images || "none yet",
        row.left_out ? `${row.left_out} of patients it may have learnt from` : "none", share(row.accuracy), fixed(row.auc)]),
      "What the classifier said against what readers settled, on patients it has not learnt from"));
  }
  const measured = versions.filter((version) => known(version.auc) || known(version.accuracy));
  if (measured.length) {
    const points = (measure) => measured.filter((version) => known(version[measure])).map((version) => ({
      x: version.minutes, y: version[measure], label: `version ${version.version}, ${judged(version)}`,
      beside: measure === "auc" || !known(version.auc) ? judged(version) : "",
    }));
    const series = [["AUC", "auc"], ["accuracy", "accuracy"]].map(([name, measure]) => ({ name, points: points(measure), apart: true }));
    const plots = made("div", "plots");
    plots.append(figure({ title: `${model} against reviewed minutes`, x: "reviewed minutes", y: "on its validation patients", yRange: [0, 1],
      series: series.filter((one) => one.points.length) }));
    root.append(plots, made("p", "dim", "Beside each point: on how many images of patients held back from its own training that version was " +
      "measured. Those of two versions need not be the same patients, and a few images tell little."));
  }
  return root;
}

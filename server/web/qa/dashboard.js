// The dashboard: how far the review is, what it took, and what the detector made of it.

import * as api from "./api.js";
import { showClassified } from "./classified.js";
import { showDisputed } from "./disputes.js";
import { bar, byId, made, table } from "./dom.js";
import { figure } from "./plot.js";

const EVERY_MS = 15000;

const known = (value) => value !== null && value !== undefined;
const share = (value) => (known(value) ? `${Math.round(100 * value)} %` : "–");
const fixed = (value, places = 1) => (known(value) ? value.toFixed(places) : "–");
const between = ({ low, high }, form) => (known(low) ? `${form(low)} to ${form(high)}` : "");

function minutes(value) {
  if (!known(value)) return "–";
  const whole = Math.round(Math.abs(value));
  const sign = value < 0 ? "−" : "";
  return whole < 120 ? `${sign}${whole} min` : `${sign}${fixed(whole / 60)} h`;
}

function spentOn(spent) {
  const names = { repeats: "hidden repeats" };
  const parts = Object.entries(spent).filter(([, value]) => value > 0)
    .map(([what, value]) => `${value < 0.5 ? "under 1 min" : minutes(value)} ${names[what] || what}`);
  return parts.length ? `spent: ${parts.join(", ")}` : "";
}

function showTiles({ studies, candidates, effort, clicks, agreement }) {
  const judged = candidates.true + candidates.false + candidates.unsure + candidates.conflict + candidates.adjudicated;
  const tiles = [
    ["Studies done", `${studies.done} of ${studies.total}`, studies.boxing ? `${studies.boxing} wait to be boxed by hand` : ""],
    ["Candidates judged", `${judged} of ${candidates.total}`, candidates.inherited ? `${candidates.inherited} taken over from an earlier model` : ""],
    ["m, share boxed by hand", share(effort.m.value), between(effort.m, share)],
    ["Expected per study", known(effort.minutes_per_study) ? `${fixed(effort.minutes_per_study)} min` : "–",
      `${fixed(effort.reading_minutes ?? 1)} + ${effort.manual_minutes} m; ${effort.manual_minutes} min by hand`],
    ["Time per decision", known(clicks.median_s) ? `${fixed(clicks.median_s)} s` : "–", known(clicks.p90_s) ? `nine in ten within ${fixed(clicks.p90_s)} s` : ""],
    ["Saved against boxing all", minutes(effort.minutes_saved), spentOn(effort.spent)],
    ["Readers agree", share(agreement.raw), known(agreement.gwet) ? `AC1 ${fixed(agreement.gwet, 2)}, ${agreement.candidates} candidates` : "no candidate was judged by two readers"],
  ];
  byId("tiles").replaceChildren(...tiles.map(([name, value, more]) => {
    const tile = made("div");
    tile.append(made("dt", "", name), made("dd", "", value));
    if (more) tile.append(made("dd", "small", more));
    return tile;
  }));
}

function showBars({ studies, candidates, outlook }) {
  byId("bars").replaceChildren(
    bar("Studies", [["done", studies.done, "c0"], ["being read", studies.reading, "c2"], ["to be boxed", studies.boxing, "c1"],
      ["disputed", studies.conflict, "c3"], ["waiting", studies.waiting, "c4"]], studies.total),
    bar("Candidates", [["true", candidates.true, "c0"], ["false", candidates.false, "c3"], ["unsure", candidates.unsure, "c1"],
      ["in conflict", candidates.conflict, "c5"], ["settled by a reviewer", candidates.adjudicated, "c2"], ["not judged", candidates.unreviewed, "c4"]],
    candidates.total),
    made("p", "dim", outlook.studies ? `What waits is expected to take ${minutes(outlook.minutes)}` +
      `${outlook.straight_to_boxing ? `; ${outlook.straight_to_boxing} studies are better boxed by hand at once` : ""}.` : ""),
  );
}

function points(versions, measure) {
  return versions.filter((version) => known(version[measure]?.value)).map((version) => ({
    x: version.minutes, y: version[measure].value, low: version[measure].low, high: version[measure].high,
    label: `version ${version.version}${version.state === "served" ? " (served)" : ""}`,
  }));
}

function showModels({ versions, model }) {
  const measured = versions.filter((version) => known(version.p1td_10?.value) || known(version.froc?.value));
  byId("models").replaceChildren();
  byId("models-told").textContent = measured.length
    ? `${model}, on the test patients that no training sees; bars are 95 % intervals. Models that turned out worse are drawn, too.`
    : `No version of ${model || "a detector"} has been measured yet. Train it, here or with hepatic train: each version appears with its sensitivity.`;
  if (!measured.length) return;
  const minutesName = "reviewed minutes";
  byId("models").append(
    figure({ title: "Primary tumour found", x: minutesName, y: "share of patients", percent: true, yRange: [0, 1],
      series: [{ name: "among the 10 best (P1TD-10)", points: points(measured, "p1td_10") }, { name: "the best one (P1TD-1)", points: points(measured, "p1td_1") }] }),
    figure({ title: "FROC", x: minutesName, y: "mean sensitivity", yRange: [0, 1], percent: true, series: [{ name: "FROC score", points: points(measured, "froc") }] }),
  );
}

function showReaders({ clicks, readers, agreement }) {
  byId("clicks").replaceChildren();
  const days = clicks.by_day.filter((day) => known(day.median_s));
  if (days.length > 1) {
    const first = Date.parse(days[0].day);
    const at = (day) => Math.round((Date.parse(day) - first) / 86400000);
    byId("clicks").append(figure({ title: "Time per decision", x: `days since ${days[0].day}`, y: "seconds", yRange: [0, Math.max(...days.map((day) => day.p90_s)) * 1.1],
      series: [{ name: "median", points: days.map((day) => ({ x: at(day.day), y: day.median_s, label: day.day })) },
        { name: "nine in ten are faster", points: days.map((day) => ({ x: at(day.day), y: day.p90_s, label: day.day })) }] }));
  }
  byId("readers").replaceChildren(readers.length ? table(
    ["Reader", "Studies", "Decisions", "Median s", "Minutes", "Known cases right", "Repeats alike"],
    readers.map(({ reader, studies, clicks: count, median_s, minutes: spent, drift }) => [
      reader, studies, count, fixed(median_s), fixed(spent), known(drift.right) ? `${share(drift.right)} of ${drift.known}` : "–",
      known(drift.same) ? `${share(drift.same)} of ${drift.repeats}` : "–"]),
  ) : made("p", "dim", "Nobody has read yet."));
  byId("agreement").textContent = agreement.candidates
    ? `Agreement on ${agreement.candidates} candidates that several judged: ${share(agreement.raw)} alike, Fleiss' kappa ${fixed(agreement.fleiss, 2)}, Gwet's AC1 ${fixed(agreement.gwet, 2)}` +
      `${agreement.cohen.map((pair) => `; ${pair.readers.join(" and ")} Cohen's kappa ${fixed(pair.kappa, 2)} (${pair.candidates})`).join("")}.`
    : "";
}

function showNegatives({ negatives }) {
  const box = byId("negatives");
  if (!negatives.mined) {
    box.replaceChildren(made("p", "dim", "None yet: a candidate that a reader calls false becomes one when its study is finished."));
    return;
  }
  box.replaceChildren(
    bar("Mined", [["silent now", negatives.silent, "c0"], ["still fire", negatives.still_fires, "c3"], ["not tried again yet", negatives.untried, "c4"]], negatives.mined),
    made("p", "dim", `${negatives.used} were used by the last training: of these ${negatives.used_silent} are silent and ${negatives.used_still_fires} still fire.`),
  );
  if (!negatives.firing.length) return;
  const details = made("details");
  details.append(made("summary", "", "Those that still fire"), table(["Study", "Candidate", "Score then", "Score now"],
    negatives.firing.map((row) => [row.study, row.candidate, fixed(row.score, 2), fixed(row.score_now, 2)])));
  box.append(details);
}

const followed = new Map();

function showJob(kind, job) {
  if (!job) return;
  const id = `job-${kind}`;
  const root = byId(id) || made("p", "row");
  root.id = id;
  if (!root.parentElement) byId("jobs").append(root);
  const names = { propose: "Proposals", train: "Training" };
  const name = made("a", "", `${names[kind] || kind} ${job.subject || ""}`);
  name.href = "../jobs";
  const told = made("span", job.error ? "bad" : "dim", `${job.state}${job.error ? `: ${job.error}` : ""}${job.items ? `, ${job.items.done} of ${job.items.total}` : ""}`);
  const parts = [name, told];
  if (["queued", "running"].includes(job.state)) {
    const progress = made("progress");
    progress.max = 1;
    progress.value = job.progress;
    progress.setAttribute("aria-label", `Progress of ${names[kind] || kind}`);
    parts.splice(1, 0, progress);
    follow(kind, job.id);
  }
  root.replaceChildren(...parts);
  byId(kind).disabled = ["queued", "running"].includes(job.state);
}

function follow(kind, id) {
  if (followed.get(kind)?.id === id) return;
  followed.get(kind)?.source.close();
  const source = api.jobEvents(id);
  followed.set(kind, { id, source });
  source.addEventListener("job", (event) => {
    const job = JSON.parse(event.data);
    showJob(kind, job);
    if (["queued", "running"].includes(job.state)) return;
    source.close();
    followed.delete(kind);
    load();
  });
}

async function begin(kind, ask) {
  byId(kind).disabled = true;
  try {
    showJob(kind, await ask());
    byId("said").textContent = kind === "train" ? "The training waits for its turn. What it learns from is final now." : "The studies wait for the model.";
  } catch (failure) {
    byId("said").textContent = failure.message;
    byId(kind).disabled = false;
  }
}

async function reject() {
  const dialog = byId("rejecting");
  try {
    const told = await api.batchReject({});
    const worth = told.count > 0 && known(told.threshold);
    byId("rejecting-told").textContent = worth
      ? `${told.count} candidates of ${told.studies} studies that nobody has judged score below ${fixed(told.threshold, 3)}. ` +
        `On known cases no more than ${told.safe.lost} of ${told.safe.lesions} lesions lie there. They are marked as rejected together, never become hard negatives, and this can be undone.`
      : `Nothing can be rejected safely now. ${told.safe.reason || ""}`;
    byId("rejecting-apply").hidden = !worth;
    dialog.returnValue = "";
    dialog.onclose = async () => {
      if (dialog.returnValue !== "apply") return;
      try {
        const done = await api.batchReject({ apply: true, id: api.uuid(), threshold: told.threshold });
        const undo = made("button", "", "Undo");
        undo.type = "button";
        undo.addEventListener("click", async () => {
          undo.disabled = true;
          try {
            await api.undoBatch(done.batch);
            byId("said").textContent = "They are to be judged again.";
          } catch (failure) {
            byId("said").textContent = failure.message;
          }
          load();
        });
        byId("said").replaceChildren(`${done.count} candidates are rejected. `, undo);
      } catch (failure) {
        byId("said").textContent = failure.message;
      }
      load();
    };
    dialog.showModal();
  } catch (failure) {
    byId("said").textContent = failure.message;
  }
}

async function load() {
  try {
    const told = await api.progress();
    byId("trouble").hidden = true;
    byId("empty").hidden = told.studies.total > 0 || told.classification.length > 0;
    const isOfImages = told.studies.total === 0 && told.classification.length > 0;
    for (const one of document.querySelectorAll(".lesions, #reject")) one.hidden = isOfImages;
    byId("when").textContent = `as of ${new Date().toLocaleTimeString()}`;
    showTiles(told);
    showBars(told);
    showModels(told);
    showReaders(told);
    showNegatives(told);
    showClassified(told);
    for (const [kind, job] of Object.entries(told.jobs)) showJob(kind, job);
  } catch (failure) {
    byId("trouble").textContent = failure.message;
    byId("trouble").hidden = false;
  }
}

byId("deidentify").addEventListener("change", (event) => {
  for (const link of byId("exports").querySelectorAll("a")) {
    const url = new URL(link.href);
    if (event.target.checked) url.searchParams.set("deidentify", "true");
    else url.searchParams.delete("deidentify");
    link.href = url.href;
  }
});
byId("propose").addEventListener("click", () => begin("propose", () => api.propose(byId("subject").value)));
byId("train").addEventListener("click", () => begin("train", () => api.train(byId("subject").value)));
byId("reject").addEventListener("click", reject);
await load();
showDisputed(load);
setInterval(() => document.hidden || load(), EVERY_MS);

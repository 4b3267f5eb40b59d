// The tables of limits and doses, and the warnings.

import { because, page, say, word, zh } from "./dose_state.js";

export function cell(row, text, kind = "td", className = "") {
  const node = document.createElement(kind);
  node.textContent = text;
  if (className) node.className = className;
  row.append(node);
  return node;
}

export function buildLimits() {
  const body = document.querySelector("#dose-limits tbody");
  const grades = { met: "grade-pass", near: "grade-warn", broken: "grade-fail", not_evaluable: "" };
  for (const limit of page.table.limits) {
    const row = body.insertRow();
    cell(row, limit.structure, "th");
    cell(row, limit.limit);
    cell(row, limit.found.value === null ? "—" : `${limit.found.text} ${limit.found.unit}`, "td", "number");
    cell(row, page.judged_words ? word(page.judged_words[limit.judged_on]) : limit.judged_on, "td", "dim");
    const verdict = cell(row, "");
    const badge = document.createElement("span");
    badge.className = `badge ${grades[limit.status]}`;
    badge.textContent = word(page.status_words[limit.status]);
    verdict.append(badge);
    if (limit.status === "not_evaluable" && limit.reason) {
      // why, where everybody sees it: a title is for those who point
      const why = document.createElement("small");
      why.className = "why dim";
      why.textContent = because(limit.reason);
      verdict.append(why);
    }
    row.title = [because(limit.reason), limit.citation, limit.is_verified ? "" : say("unverified")].filter(Boolean).join(" — ");
  }
  document.getElementById("no-limits").hidden = page.table.limits.length > 0;
}

export function buildNumbers() {
  const head = document.querySelector("#dose-numbers thead tr");
  const letters = page.courses.map((c) => c.letter);
  const columns = [...letters, "sum", "eqd2", "bed", "low", "high", "maxima"];
  const titles = { sum: say("sum"), eqd2: "EQD2", bed: "BED", low: "≥", high: "≤", maxima: "Σmax" };
  for (const name of columns) cell(head, titles[name] || name, "th", "number");
  const body = document.querySelector("#dose-numbers tbody");
  let before = "";
  for (const found of page.table.rows) {
    const row = body.insertRow();
    cell(row, found.structure === before ? "" : found.structure, "th").title = zh ? found.zh : found.tg263;
    cell(row, found.structure === before ? "" : String(found.alpha_beta_gy), "td", "number dim");
    before = found.structure;
    cell(row, found.metric, "td", "dim");
    for (const name of columns) {
      const entry = found.entries[name];
      const node = cell(row, entry ? entry.text : "—", "td", entry && entry.value !== null ? "number" : "number dim");
      if (entry && entry.reason) node.title = because(entry.reason);
    }
  }
}

export function buildTabs() {
  const tabs = [...document.querySelectorAll("[data-tab]")];
  const open = (name) => tabs.forEach((tab) => {
    tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
    document.getElementById(tab.dataset.tab).hidden = tab.dataset.tab !== name;
  });
  tabs.forEach((tab) => tab.addEventListener("click", () => open(tab.dataset.tab)));
  open(page.table.limits.length ? "dose-limits" : "dose-numbers");
}

export function buildWarnings() {
  const box = document.getElementById("dose-warnings");
  // pages of older sums have their warnings in one language
  const warnings = page.warnings.map((w) => (typeof w === "string" ? w : word(w)));
  const texts = [...warnings, ...page.refused.map((r) => `${r.structure}: ${because(r.message)}`)];
  for (const text of texts) {
    const line = document.createElement("li");
    line.textContent = text;
    box.append(line);
  }
  box.hidden = texts.length === 0;
}

// Fields for an alpha/beta of one's own; what is left empty stays as it was.
export function buildRatios() {
  const place = document.getElementById("dose-ratios");
  if (!place) return;
  for (const s of page.structures) {
    const label = document.createElement("label");
    const name = document.createElement("input");
    name.type = "hidden";
    name.name = "ratio_of";
    name.value = s.name;
    const field = document.createElement("input");
    field.type = "number";
    field.name = "ratio";
    field.min = "0.1";
    field.max = "100";
    field.step = "0.1";
    field.placeholder = String(s.alpha_beta_gy);
    if (s.is_stated) field.value = String(s.alpha_beta_gy);
    field.setAttribute("aria-label", `α/β ${s.name}`);
    label.append(name, `${s.name} `, field);
    place.append(label);
  }
}

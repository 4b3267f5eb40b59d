// How good the computed registrations are: the picture of each, and its numbers by structure.

import { base, page, say, word } from "./dose_state.js";
import { cell } from "./dose_tables.js";

export function buildRegistrations() {
  const box = document.getElementById("dose-registrations");
  // pages of older sums have none
  for (const found of page.registrations || []) {
    const part = document.createElement("section");
    part.className = "registration";
    part.dataset.letter = found.letter;
    if (found.has_picture) part.append(picture(found));
    part.append(numbers(found));
    box.append(part);
  }
  box.hidden = !box.querySelector(".registration");
}

function picture(found) {
  const figure = document.createElement("figure");
  const image = document.createElement("img");
  image.src = `${base}/registration/${found.letter}`;
  image.alt = `${say("registration")} ${found.letter}`;
  image.loading = "lazy";
  const caption = document.createElement("figcaption");
  caption.className = "dim";
  caption.textContent = word(page.picture_words);
  figure.append(image, caption);
  return figure;
}

function numbers(found) {
  const part = document.createElement("div");
  const title = document.createElement("p");
  const label = document.createElement("b");
  label.textContent = `${found.letter}: ${word(found.kind)}`;
  const badge = document.createElement("span");
  badge.className = "badge grade-warn";
  badge.textContent = word(page.not_reviewed);
  title.append(label, " ", badge);
  const back = document.createElement("p");
  back.textContent = `${say("thereAndBack")} ${found.there_and_back_mm.text} mm`;
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  cell(head, say("structure"), "th");
  cell(head, say("overlap"), "th", "number");
  cell(head, say("jacobian"), "th", "number");
  const body = table.createTBody();
  for (const one of found.rows) {
    const row = body.insertRow();
    cell(row, word(one.structure), "th");
    cell(row, one.dice.text, "td", "number");
    cell(row, one.folds ? `${one.jacobian.text} ${say("folds")}` : one.jacobian.text, "td", one.folds ? "number folds" : "number");
  }
  part.append(title, back, table);
  for (const note of found.notes) {
    const line = document.createElement("small");
    line.className = "dim";
    line.textContent = word(note);
    part.append(line);
  }
  return part;
}

// What is under the cursor: the doses, and the EQD2 of the organs there.

import { structureOf } from "./dose_lines.js";
import { fit, toColumn, toRow } from "./dose_place.js";
import { slice } from "./dose_slices.js";
import { index, page, say } from "./dose_state.js";
import { combined, dosesAt } from "./dose_values.js";

function isInside(points, column, row) {
  let inside = false;
  for (let n = 0, m = points.length - 1; n < points.length; m = n, n += 1) {
    const [x0, y0] = points[n];
    const [x1, y1] = points[m];
    if (y0 > row !== y1 > row && column < ((x1 - x0) * (row - y0)) / (y1 - y0) + x0) inside = !inside;
  }
  return inside;
}

function structuresAt(found, row, column) {
  const times = new Map();
  for (const [outline, points] of found.contours) {
    if (isInside(points, column, row)) times.set(outline, (times.get(outline) || 0) + 1);
  }
  for (const mask of found.masks) {
    const r = Math.round(row) - mask.row;
    const c = Math.round(column) - mask.column;
    if (r >= 0 && c >= 0 && r < mask.height && c < mask.width && mask.values[r * mask.width + c]) {
      times.set(mask.structure, 1);
    }
  }
  return [...times].filter(([, n]) => n % 2).map(([outline]) => structureOf(outline)).filter(Boolean);
}

const gray = (value) => (Number.isNaN(value) ? "—" : value.toFixed(2));

export async function read(name, event) {
  const canvas = document.getElementById(`view-${name}`);
  const plane = page.planes[name];
  const place = fit(canvas, plane);
  const box = canvas.getBoundingClientRect();
  const row = toRow(place, plane, (event.clientY - box.top) * place.ratio);
  const column = toColumn(place, plane, (event.clientX - box.left) * place.ratio);
  const readout = document.getElementById("dose-readout");
  if (row < -0.5 || column < -0.5 || row > plane.rows - 0.5 || column > plane.columns - 0.5) {
    readout.textContent = say("hint");
    return;
  }
  const found = await slice(name, index[name]);
  const doses = dosesAt(found, name, row, column);
  const sum = combined(doses, "sum");
  const parts = doses.map((dose, n) => `${page.courses[n].letter} ${gray(dose)}`);
  if (doses.length > 1) parts.push(`${say("sum")} ${gray(sum)}`, `A−B ${gray(combined(doses, "difference"))}`);
  let text = `${parts.join(" · ")} Gy`;
  const inside = structuresAt(found, row, column);
  if (page.has_eqd2) {
    const named = inside.length ? inside.map((s) => [s.name, s.alpha_beta_gy]) : [["", 3], ["", 10]];
    const shownOf = named.slice(0, 4).map(([title, ratio]) =>
      `${title ? `${title} ` : ""}α/β ${ratio}: ${gray(combined(doses, "eqd2", ratio))}`);
    text += `  |  EQD2 ${shownOf.join(" · ")}`;
  } else if (inside.length) text += `  |  ${inside.map((s) => s.name).join(", ")}`;
  if (doses.some(Number.isNaN) && !Number.isNaN(sum)) text += `  |  ${say("partly")}`;
  readout.textContent = text;
  readout.dataset.plane = name;
  readout.dataset.row = row.toFixed(6);
  readout.dataset.column = column.toFixed(6);
  readout.dataset.doses = doses.map((d) => d.toFixed(5)).join(" ");
  readout.dataset.sum = sum.toFixed(5);
  readout.dataset.eqd2 = page.has_eqd2 ? combined(doses, "eqd2", inside[0] ? inside[0].alpha_beta_gy : 3).toFixed(5) : "";
}

// Doses at places: interpolated course by course, then added or converted, as the library does; and their colours.

import { page, shown } from "./dose_state.js";

export function linear(values, width, height, row, column) {
  if (!(row >= -1e-3 && column >= -1e-3 && row <= height - 1 + 1e-3 && column <= width - 1 + 1e-3)) return NaN;
  const r = Math.min(Math.max(Math.floor(row), 0), height - 2);
  const c = Math.min(Math.max(Math.floor(column), 0), width - 2);
  const dr = row - r;
  const dc = column - c;
  const at = r * width + c;
  const above = values[at] * (1 - dc) + values[at + 1] * dc;
  const below = values[at + width] * (1 - dc) + values[at + width + 1] * dc;
  return above * (1 - dr) + below * dr;
}

function eqd2Of(dose, course, alphaBeta) {
  const fractions = page.courses[course].fractions;
  return (dose * (dose / fractions + alphaBeta)) / (2 + alphaBeta);
}

// What is shown of the doses of all courses at one place; NaN where it is not known.
export function combined(values, mode, alphaBeta) {
  if (mode === "difference") return values[0] - values[1];
  if (mode === "sum" || mode === "eqd2") {
    let total = 0;
    let known = 0;
    for (let n = 0; n < values.length; n += 1) {
      if (Number.isNaN(values[n])) continue;
      known += 1;
      total += mode === "eqd2" ? eqd2Of(values[n], n, alphaBeta) : values[n];
    }
    return known ? total : NaN;
  }
  return values[Number(mode)];
}

// Doses of the courses at a place of the picture, in rows and columns of the image.
export function dosesAt(found, name, row, column) {
  const place = page.planes[name].dose;
  if (!place || !found.doses.length) return page.courses.map(() => NaN);
  const [height, width] = found.doseShape;
  const r = (row - place.first[0]) / place.step[0];
  const c = (column - place.first[1]) / place.step[1];
  return found.doses.map((values) => linear(values, width, height, r, c));
}

export const scale = () => page.scales[shown.dose === "difference" ? "difference" : "dose"];
export const colours = () => page.colours[shown.dose === "difference" ? "difference" : "dose"];

export function colourOf(dose) {
  const { low, high } = scale();
  const share = (dose - low) / (high - low);
  return colours()[Math.min(Math.max(Math.round(share * 255), 0), 255)];
}

export function isWashed(dose) {
  const high = scale().high;
  return shown.dose === "difference" ? Math.abs(dose) >= 0.03 * high : dose >= 0.1 * high;
}

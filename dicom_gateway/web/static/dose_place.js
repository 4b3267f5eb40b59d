// Where the pixels of a canvas lie on the slice that it shows.

import { zoom } from "./dose_state.js";

export function fit(canvas, plane) {
  const box = canvas.parentElement.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(Math.floor(box.width * ratio), 40);
  const height = Math.max(Math.floor(box.height * ratio), 40);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const [firstRow, firstColumn, lastRow, lastColumn] = plane.box;
  const widthMm = (lastColumn - firstColumn + 1) * plane.column_mm;
  const heightMm = (lastRow - firstRow + 1) * plane.row_mm;
  const perMm = Math.min(width / widthMm, height / heightMm) * (zoom[canvas.id] || 1);
  const left = width / 2 - ((firstColumn + lastColumn + 1) / 2) * plane.column_mm * perMm;
  const top = height / 2 - ((firstRow + lastRow + 1) / 2) * plane.row_mm * perMm;
  return { width, height, perMm, ratio, left, top };
}

export const toRow = (place, plane, y) => (y - place.top) / (place.perMm * plane.row_mm) - 0.5;
export const toColumn = (place, plane, x) => (x - place.left) / (place.perMm * plane.column_mm) - 0.5;

export const toY = (place, plane, row) => place.top + (row + 0.5) * plane.row_mm * place.perMm;
export const toX = (place, plane, column) => place.left + (column + 0.5) * plane.column_mm * place.perMm;

// Where the pixels of a picture lie between values: index of the value before, and share of the one after.
export function between(count, size, value) {
  const before = new Int32Array(count).fill(-1);
  const share = new Float64Array(count);
  for (let n = 0; n < count; n += 1) {
    const at = value(n + 0.5);
    if (!(at >= -0.5 && at <= size - 0.5)) continue;
    const inside = Math.min(Math.max(at, 0), size - 1);
    before[n] = Math.min(Math.floor(inside), Math.max(size - 2, 0));
    share[n] = inside - before[n];
  }
  return { before, share };
}

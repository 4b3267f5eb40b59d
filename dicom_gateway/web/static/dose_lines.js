// Lines on the pictures: isodoses, and outlines of structures.

import { toX, toY } from "./dose_place.js";
import { page, shown } from "./dose_state.js";
import { colourOf, scale } from "./dose_values.js";

// Pieces of the line of a level through the cells of an array: calls back with the ends of each piece.
function march(at, width, height, level, piece) {
  for (let y = 0; y < height - 1; y += 1) {
    for (let x = 0; x < width - 1; x += 1) {
      const a = at(x, y), b = at(x + 1, y), c = at(x + 1, y + 1), d = at(x, y + 1);
      const kind = (a >= level) | ((b >= level) << 1) | ((c >= level) << 2) | ((d >= level) << 3);
      if (kind === 0 || kind === 15 || Number.isNaN(a + b + c + d)) continue;
      const top = [x + (level - a) / (b - a), y];
      const right = [x + 1, y + (level - b) / (c - b)];
      const bottom = [x + (level - d) / (c - d), y + 1];
      const left = [x, y + (level - a) / (d - a)];
      if (kind === 5) { piece(left, top); piece(right, bottom); }
      else if (kind === 10) { piece(top, right); piece(bottom, left); }
      else {
        const ends = [];
        if ((kind & 1) !== ((kind >> 1) & 1)) ends.push(top);
        if (((kind >> 1) & 1) !== ((kind >> 2) & 1)) ends.push(right);
        if (((kind >> 2) & 1) !== ((kind >> 3) & 1)) ends.push(bottom);
        if ((kind & 1) !== ((kind >> 3) & 1)) ends.push(left);
        piece(ends[0], ends[1]);
      }
    }
  }
}

export function drawIsodoses(context, dose, width, height) {
  const step = 2;
  const w = Math.floor(width / step);
  const h = Math.floor(height / step);
  const at = (x, y) => dose[y * step * width + x * step];
  context.lineWidth = 1.2;
  for (const level of scale().levels) {
    const colour = colourOf(level);
    context.strokeStyle = `rgb(${colour.join(",")})`;
    context.beginPath();
    march(at, w, h, level, ([x0, y0], [x1, y1]) => {
      context.moveTo(x0 * step + 0.5, y0 * step + 0.5);
      context.lineTo(x1 * step + 0.5, y1 * step + 0.5);
    });
    context.stroke();
  }
}

export function structureOf(outline) {
  return page.structures.find((s) => s.outline === outline);
}

export function drawOutlines(context, found, plane, place) {
  context.lineWidth = 1.6 * place.ratio;
  for (const [outline, points] of found.contours) {
    const structure = structureOf(outline);
    if (!structure || shown.off.has(structure.name)) continue;
    context.strokeStyle = `rgb(${structure.rgb.join(",")})`;
    context.beginPath();
    points.forEach(([column, row], n) => {
      const to = [toX(place, plane, column), toY(place, plane, row)];
      if (n) context.lineTo(...to);
      else context.moveTo(...to);
    });
    context.closePath();
    context.stroke();
  }
  for (const mask of found.masks) {
    const structure = structureOf(mask.structure);
    if (!structure || shown.off.has(structure.name)) continue;
    context.strokeStyle = `rgb(${structure.rgb.join(",")})`;
    context.beginPath();
    const at = (x, y) =>
      x < 1 || y < 1 || x > mask.width || y > mask.height ? 0 : mask.values[(y - 1) * mask.width + x - 1];
    march(at, mask.width + 2, mask.height + 2, 0.5, ([x0, y0], [x1, y1]) => {
      context.moveTo(toX(place, plane, mask.column + x0 - 1), toY(place, plane, mask.row + y0 - 1));
      context.lineTo(toX(place, plane, mask.column + x1 - 1), toY(place, plane, mask.row + y1 - 1));
    });
    context.stroke();
  }
}

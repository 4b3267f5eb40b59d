// One plane as a picture: the image, the colour wash, the lines, the marks.

import { drawIsodoses, drawOutlines } from "./dose_lines.js";
import { between, fit, toColumn, toRow, toX, toY } from "./dose_place.js";
import { index, page, point, shown, word } from "./dose_state.js";
import { colours, combined, isWashed, linear, scale } from "./dose_values.js";

function doseOfPixels(found, plane, place) {
  const { width, height } = place;
  const dose = new Float32Array(width * height).fill(NaN);
  if (!plane.dose || !found.doses.length) return dose;
  const [rows, columns] = found.doseShape;
  const count = found.doses.length;
  const values = new Array(count).fill(NaN);
  const across = new Float64Array(width);
  for (let x = 0; x < width; x += 1) {
    across[x] = (toColumn(place, plane, x + 0.5) - plane.dose.first[1]) / plane.dose.step[1];
  }
  for (let y = 0; y < height; y += 1) {
    const row = toRow(place, plane, y + 0.5);
    if (row < -0.5 || row > plane.rows - 0.5) continue;
    const r = (row - plane.dose.first[0]) / plane.dose.step[0];
    for (let x = 0; x < width; x += 1) {
      for (let n = 0; n < count; n += 1) values[n] = linear(found.doses[n], columns, rows, r, across[x]);
      dose[y * width + x] = combined(values, shown.dose, shown.alphaBeta);
    }
  }
  return dose;
}

export function paint(canvas, name, found) {
  const plane = page.planes[name];
  const place = fit(canvas, plane);
  // pictures are made pixel by pixel: a canvas in memory, not on a graphics card
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const { width, height } = place;
  const picture = context.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer).fill(0xff000000);
  const dose = doseOfPixels(found, plane, place);
  const [low, high] = shown.window || page.window;
  const gain = 255 / (high - low);
  const { rows, columns, image } = found;
  const down = between(height, rows, (y) => toRow(place, plane, y));
  const across = between(width, columns, (x) => toColumn(place, plane, x));
  const next = rows > 1 ? columns : 0;
  const table = new Uint8Array(colours().flat());
  const range = scale();
  const toTable = 255 / (range.high - range.low);
  const share = shown.opacity;
  for (let y = 0; y < height; y += 1) {
    if (down.before[y] < 0) continue;
    const dr = down.share[y];
    for (let x = 0; x < width; x += 1) {
      if (across.before[x] < 0) continue;
      const dc = across.share[x];
      const at = down.before[y] * columns + across.before[x];
      const above = image[at] * (1 - dc) + image[at + 1] * dc;
      const below = image[at + next] * (1 - dc) + image[at + next + 1] * dc;
      const grey = Math.min(Math.max((above * (1 - dr) + below * dr - low) * gain, 0), 255);
      const out = y * width + x;
      const here = dose[out];
      if (shown.wash && isWashed(here)) {
        const colour = 3 * Math.min(Math.max(Math.round((here - range.low) * toTable), 0), 255);
        const red = grey * (1 - share) + table[colour] * share;
        const green = grey * (1 - share) + table[colour + 1] * share;
        const blue = grey * (1 - share) + table[colour + 2] * share;
        pixels[out] = 0xff000000 | (blue << 16) | (green << 8) | red;
      } else pixels[out] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
  }
  context.putImageData(picture, 0, 0);
  if (shown.lines) drawIsodoses(context, dose, width, height);
  drawOutlines(context, found, plane, place);
  drawMarks(context, name, plane, place);
  canvas.dataset.index = index[name];
}

function drawMarks(context, name, plane, place) {
  const { width, height, ratio } = place;
  context.font = `${13 * ratio}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const put = (text, x, y, align, colour = "#ffd98a") => {
    context.textAlign = align;
    context.lineWidth = 3 * ratio;
    context.strokeStyle = "#000";
    context.strokeText(text, x, y);
    context.fillStyle = colour;
    context.fillText(text, x, y);
  };
  put(plane.letters.left, 6 * ratio, height / 2, "left");
  put(plane.letters.right, width - 6 * ratio, height / 2, "right");
  put(plane.letters.top, width / 2, 28 * ratio, "center");
  put(plane.letters.bottom, width / 2, height - 10 * ratio, "center");
  const where = `${plane.axis} ${plane.positions[index[name]].toFixed(1)} mm  ${index[name] + 1}/${plane.count}`;
  put(`${word(plane.name)}  ${where}`, 6 * ratio, 11 * ratio, "left", "#e6eaee");
  if (point.on === undefined) return;
  const row = point.index[plane.down];
  const column = point.index[plane.across];
  const y = toY(place, plane, plane.flip_down ? plane.rows - 1 - row : row);
  const x = toX(place, plane, plane.flip_across ? plane.columns - 1 - column : column);
  context.strokeStyle = "rgba(255,255,255,.55)";
  context.lineWidth = 1;
  context.setLineDash([4, 5]);
  context.beginPath();
  context.moveTo(x, 0); context.lineTo(x, height);
  context.moveTo(0, y); context.lineTo(width, y);
  context.stroke();
  context.setLineDash([]);
}

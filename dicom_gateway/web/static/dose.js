// The dose viewer: three planes with colour wash and isodose lines, dose at the cursor, histograms and tables.
// The server sends one slice at a time; within the plane doses are interpolated here, each course by itself, and only
// then added or converted, as the library does.
"use strict";

(() => {
  const app = document.getElementById("dose-app");
  if (!app) return;
  const base = app.dataset.base;
  const zh = document.documentElement.lang.startsWith("zh");
  const word = (pair) => (zh ? pair.zh : pair.en);
  const say = (key) => app.dataset[key];
  const PLANES = ["axial", "coronal", "sagittal"];
  const KEPT = 150;
  const AHEAD = 4;
  const cache = new Map();
  const shown = { dose: "sum", wash: true, opacity: 0.42, lines: true, window: null, alphaBeta: 3, off: new Set() };
  const index = {};
  const point = {};
  const zoom = {};
  let page = null;

  // --- slices -------------------------------------------------------------------------------------------------------

  function decode(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    let at = 4 + length;
    const [rows, columns] = head.image;
    const image = new Int16Array(buffer, at, rows * columns);
    at += Math.ceil((rows * columns * 2) / 4) * 4;
    const doses = [];
    if (head.dose) {
      const count = head.dose[0] * head.dose[1];
      for (let n = 0; n < page.dose_count; n += 1, at += 4 * count) doses.push(new Float32Array(buffer, at, count));
    }
    const masks = head.masks.map(([structure, row, column, height, width]) => {
      const values = new Uint8Array(buffer, at, height * width);
      at += height * width;
      return { structure, row, column, height, width, values };
    });
    return { rows, columns, image, doses, doseShape: head.dose, masks, contours: head.contours };
  }

  async function fetched(name, at) {
    const answer = await fetch(`${base}/slice/${name}/${at}`);
    if (!answer.ok) throw new Error(`slice ${answer.status}`);
    return decode(await answer.arrayBuffer());
  }

  function slice(name, at) {
    const key = `${name} ${at}`;
    let found = cache.get(key);
    if (found) cache.delete(key);
    else found = fetched(name, at).catch((error) => { cache.delete(key); throw error; });
    cache.set(key, found);
    if (cache.size > KEPT) cache.delete(cache.keys().next().value);
    return found;
  }

  function lookAhead(name) {
    const count = page.planes[name].count;
    for (let n = 1; n <= AHEAD; n += 1) {
      for (const at of [index[name] + n, index[name] - n]) {
        if (at >= 0 && at < count) slice(name, at).catch(() => {});
      }
    }
  }

  // --- doses --------------------------------------------------------------------------------------------------------

  function linear(values, width, height, row, column) {
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
  function combined(values, mode, alphaBeta) {
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
  function dosesAt(found, name, row, column) {
    const place = page.planes[name].dose;
    if (!place || !found.doses.length) return page.courses.map(() => NaN);
    const [height, width] = found.doseShape;
    const r = (row - place.first[0]) / place.step[0];
    const c = (column - place.first[1]) / place.step[1];
    return found.doses.map((values) => linear(values, width, height, r, c));
  }

  const scale = () => page.scales[shown.dose === "difference" ? "difference" : "dose"];
  const colours = () => page.colours[shown.dose === "difference" ? "difference" : "dose"];

  function colourOf(dose) {
    const { low, high } = scale();
    const share = (dose - low) / (high - low);
    return colours()[Math.min(Math.max(Math.round(share * 255), 0), 255)];
  }

  function isWashed(dose) {
    const high = scale().high;
    return shown.dose === "difference" ? Math.abs(dose) >= 0.03 * high : dose >= 0.1 * high;
  }

  // --- pictures -----------------------------------------------------------------------------------------------------

  function fit(canvas, plane) {
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

  const toRow = (place, plane, y) => (y - place.top) / (place.perMm * plane.row_mm) - 0.5;
  const toColumn = (place, plane, x) => (x - place.left) / (place.perMm * plane.column_mm) - 0.5;
  const toY = (place, plane, row) => place.top + (row + 0.5) * plane.row_mm * place.perMm;
  const toX = (place, plane, column) => place.left + (column + 0.5) * plane.column_mm * place.perMm;

  // Where the pixels of a picture lie between values: index of the value before, and share of the one after.
  function between(count, size, value) {
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

  function paint(canvas, name, found) {
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

  function drawIsodoses(context, dose, width, height) {
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

  function structureOf(outline) {
    return page.structures.find((s) => s.outline === outline);
  }

  function drawOutlines(context, found, plane, place) {
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

  const waiting = {};
  async function show(name) {
    const asked = index[name];
    waiting[name] = asked;
    let found;
    try {
      found = await slice(name, asked);
    } catch (error) {
      document.getElementById("dose-readout").textContent = say("lost");
      return;
    }
    if (waiting[name] === asked) paint(document.getElementById(`view-${name}`), name, found);
  }

  const showAll = () => Promise.all(PLANES.map(show));

  function move(name, to) {
    const count = page.planes[name].count;
    const wanted = Math.min(Math.max(to, 0), count - 1);
    if (wanted === index[name]) return;
    index[name] = wanted;
    if (point.on !== undefined) point.index[page.planes[name].through] = wanted;
    show(name).then(() => lookAhead(name));
    if (point.on !== undefined) for (const other of PLANES) if (other !== name) show(other);
  }

  // --- cursor -------------------------------------------------------------------------------------------------------

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

  async function read(name, event) {
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

  // A click puts the other planes through the point.
  function pick(name, event) {
    const plane = page.planes[name];
    const canvas = document.getElementById(`view-${name}`);
    const place = fit(canvas, plane);
    const box = canvas.getBoundingClientRect();
    const row = Math.round(toRow(place, plane, (event.clientY - box.top) * place.ratio));
    const column = Math.round(toColumn(place, plane, (event.clientX - box.left) * place.ratio));
    if (row < 0 || column < 0 || row >= plane.rows || column >= plane.columns) return;
    point.on = true;
    point.index = [0, 0, 0];
    point.index[plane.through] = index[name];
    point.index[plane.down] = plane.flip_down ? plane.rows - 1 - row : row;
    point.index[plane.across] = plane.flip_across ? plane.columns - 1 - column : column;
    for (const other of PLANES) index[other] = point.index[page.planes[other].through];
    showAll().then(() => PLANES.forEach(lookAhead));
  }

  function listen(name) {
    const canvas = document.getElementById(`view-${name}`);
    const up = () => (page.planes[name].ascends ? 1 : -1);
    const zoomBy = (factor) => {
      zoom[canvas.id] = factor ? Math.min(Math.max((zoom[canvas.id] || 1) * factor, 0.25), 8) : 1;
      show(name);
    };
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (event.ctrlKey) zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15);
      else move(name, index[name] + (event.deltaY < 0 ? up() : -up()));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowUp: up(), ArrowDown: -up(), PageUp: 10 * up(), PageDown: -10 * up() };
      if (event.key in steps) move(name, index[name] + steps[event.key]);
      else if (event.key === "+" || event.key === "=") zoomBy(1.25);
      else if (event.key === "-") zoomBy(0.8);
      else if (event.key === "0") zoomBy(0);
      else if (event.key === "Home") move(name, up() > 0 ? page.planes[name].count - 1 : 0);
      else if (event.key === "End") move(name, up() > 0 ? 0 : page.planes[name].count - 1);
      else return;
      event.preventDefault();
    });
    canvas.addEventListener("mousemove", (event) => read(name, event));
    canvas.addEventListener("click", (event) => pick(name, event));
  }

  // --- controls -----------------------------------------------------------------------------------------------------

  function drawLegend() {
    const canvas = document.getElementById("dose-scale");
    const context = canvas.getContext("2d");
    const { low, high, levels } = scale();
    const [width, height] = [canvas.width, canvas.height];
    context.clearRect(0, 0, width, height);
    for (let x = 0; x < width; x += 1) {
      context.fillStyle = `rgb(${colourOf(low + ((high - low) * x) / width).join(",")})`;
      context.fillRect(x, 0, 1, 12);
    }
    context.fillStyle = "#1c2428";
    context.font = "11px system-ui, sans-serif";
    let right = -20;
    for (const level of levels) {
      const x = ((level - low) / (high - low)) * width;
      context.fillRect(x, 12, 1, 3);
      const half = context.measureText(String(level)).width / 2;
      const at = Math.min(Math.max(x, half), width - half);
      if (at - half > right + 4) {
        context.textAlign = "center";
        context.fillText(String(level), at, 25);
        right = at + half;
      }
    }
  }

  function choose(mode) {
    shown.dose = mode;
    for (const button of document.querySelectorAll("[data-dose]")) {
      button.setAttribute("aria-checked", String(button.dataset.dose === mode));
    }
    document.getElementById("dose-ratio").disabled = mode !== "eqd2";
    drawLegend();
    drawCurves();
    return showAll();
  }

  const WINDOWS = { soft: null, bone: [-450, 1050], lung: [-1350, 150], brain: [0, 80] };

  function buildControls() {
    const group = document.getElementById("dose-modes");
    const modes = page.courses.map((c, n) => [String(n), `${say("plan")} ${c.letter}`, c.label]);
    if (page.courses.length > 1) modes.push(["sum", say("sum"), ""], ["difference", "A − B", ""]);
    if (page.has_eqd2) modes.push(["eqd2", "EQD2", ""]);
    for (const [mode, text, title] of modes) {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.dose = mode;
      button.setAttribute("role", "radio");
      button.textContent = text;
      if (title) button.title = title;
      button.addEventListener("click", () => choose(mode));
      group.append(button);
    }
    const ratios = document.getElementById("dose-ratio");
    const found = [...new Set(page.structures.map((s) => s.alpha_beta_gy))].sort((a, b) => a - b);
    for (const ratio of found) ratios.append(new Option(`α/β ${ratio} Gy`, ratio));
    shown.alphaBeta = found.length ? found[0] : 3;
    ratios.hidden = !page.has_eqd2;
    ratios.addEventListener("change", () => { shown.alphaBeta = Number(ratios.value); showAll(); });
    const bind = (id, apply) => document.getElementById(id).addEventListener("input", (event) => {
      apply(event.target);
      showAll();
    });
    bind("dose-wash", (box) => { shown.wash = box.checked; });
    bind("dose-lines", (box) => { shown.lines = box.checked; });
    bind("dose-opacity", (range) => { shown.opacity = Number(range.value) / 100; });
    bind("dose-window", (select) => { shown.window = WINDOWS[select.value]; });
  }

  function buildStructures() {
    const list = document.getElementById("dose-structures");
    for (const s of page.structures) {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = true;
      box.dataset.structure = s.name;
      box.addEventListener("change", () => {
        if (box.checked) shown.off.delete(s.name);
        else shown.off.add(s.name);
        showAll();
        drawCurves();
      });
      const swatch = document.createElement("i");
      swatch.className = "swatch";
      swatch.style.background = `rgb(${s.rgb.join(",")})`;
      const flags = s.flags.map(word);
      label.append(box, swatch, `${s.name}`);
      if (flags.length) {
        const mark = document.createElement("span");
        mark.className = "flag";
        mark.textContent = "!";
        mark.title = flags.join("; ");
        label.append(mark);
      }
      list.append(label);
    }
  }

  // --- histograms ---------------------------------------------------------------------------------------------------

  const DASHES = { A: [7, 4], B: [2, 3], C: [8, 3, 2, 3], D: [4, 4] };
  const plot = { left: 38, top: 10, right: 10, bottom: 30 };

  function visibleCurves() {
    const keys = shown.dose === "eqd2" ? ["eqd2"] : [...page.courses.map((c) => c.letter), "sum"];
    const wanted = page.courses.length > 1 || shown.dose === "eqd2" ? keys : ["sum"];
    return page.curves
      .filter((c) => !shown.off.has(c.name))
      .flatMap((c) => wanted.filter((key) => c.percent[key]).map((key) => ({ ...c, key, values: c.percent[key] })));
  }

  function plotPlace(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const box = canvas.parentElement.getBoundingClientRect();
    canvas.width = Math.floor(box.width * ratio);
    canvas.height = Math.floor(box.height * ratio);
    let end = 10;
    for (const curve of visibleCurves()) {
      const last = curve.values.findLastIndex((v) => v > 0.05);
      end = Math.max(end, Math.ceil((last * curve.step_gy) / 10) * 10);
    }
    const width = box.width - plot.left - plot.right;
    const height = box.height - plot.top - plot.bottom;
    return {
      ratio, end, width, height,
      x: (dose) => plot.left + (width * dose) / end,
      y: (percent) => plot.top + height * (1 - percent / 100),
    };
  }

  function trace(context, place, curve) {
    context.beginPath();
    for (let n = 0; n < curve.values.length && n * curve.step_gy <= place.end; n += 1) {
      const to = [place.x(n * curve.step_gy), place.y(curve.values[n])];
      if (n) context.lineTo(...to);
      else context.moveTo(...to);
    }
    context.stroke();
  }

  function drawCurves(near = null) {
    const canvas = document.getElementById("dose-dvh");
    const place = plotPlace(canvas);
    const context = canvas.getContext("2d");
    context.setTransform(place.ratio, 0, 0, place.ratio, 0, 0);
    context.font = "11px system-ui, sans-serif";
    context.strokeStyle = "#2b3a41";
    context.fillStyle = "#9fb0b8";
    context.lineWidth = 1;
    const step = place.end > 120 ? 20 : 10;
    for (let dose = 0; dose <= place.end; dose += step) {
      context.beginPath(); context.moveTo(place.x(dose), place.y(0)); context.lineTo(place.x(dose), place.y(100));
      context.stroke();
      context.textAlign = "center";
      context.fillText(String(dose), place.x(dose), place.y(0) + 13);
    }
    for (let percent = 0; percent <= 100; percent += 20) {
      context.beginPath(); context.moveTo(place.x(0), place.y(percent)); context.lineTo(place.x(place.end), place.y(percent));
      context.stroke();
      context.textAlign = "right";
      context.fillText(String(percent), plot.left - 5, place.y(percent) + 4);
    }
    context.textAlign = "right";
    context.fillText(shown.dose === "eqd2" ? "EQD2 / Gy" : say("doseAxis"), place.x(place.end), place.y(0) + 26);
    context.textAlign = "left";
    context.fillText(say("dashes"), plot.left, place.y(0) + 26);
    for (const curve of visibleCurves()) {
      const isNear = near && near.name === curve.name;
      if (curve.key === "eqd2" && curve.percent.low) band(context, place, curve);
      context.strokeStyle = `rgba(${curve.rgb.join(",")},${near && !isNear ? 0.3 : 1})`;
      context.lineWidth = (curve.key === "sum" || curve.key === "eqd2" ? 1.9 : 1.2) + (isNear ? 0.6 : 0);
      context.setLineDash(DASHES[curve.key] || []);
      trace(context, place, curve);
    }
    context.setLineDash([]);
  }

  // Between the curves of the least and the largest dose that the organ may have received.
  function band(context, place, curve) {
    context.fillStyle = `rgba(${curve.rgb.join(",")},.18)`;
    context.beginPath();
    const places = (values) => values.map((v, n) => [place.x(n * curve.step_gy), place.y(v)]);
    [...places(curve.percent.high), ...places(curve.percent.low).reverse()].forEach((to, n) => {
      if (n) context.lineTo(...to);
      else context.moveTo(...to);
    });
    context.fill();
  }

  function hoverCurve(event) {
    const canvas = document.getElementById("dose-dvh");
    const box = canvas.getBoundingClientRect();
    const place = plotPlace(canvas);
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const dose = ((x - plot.left) / place.width) * place.end;
    const tip = document.getElementById("dose-tip");
    let best = null;
    for (const curve of visibleCurves()) {
      const at = dose / curve.step_gy;
      const n = Math.floor(at);
      if (n < 0 || n >= curve.values.length - 1) continue;
      const value = curve.values[n] + (curve.values[n + 1] - curve.values[n]) * (at - n);
      const slope = ((curve.values[n + 1] - curve.values[n]) / curve.step_gy) * (place.height / 100) / (place.width / place.end);
      const distance = Math.abs(place.y(value) - y) / Math.sqrt(1 + slope * slope);
      if (!best || distance < best.distance) best = { curve, value, distance };
    }
    if (!best || best.distance > 14) {
      tip.hidden = true;
      drawCurves();
      return;
    }
    drawCurves(best.curve);
    const title = best.curve.key === "sum" ? say("sum") : best.curve.key === "eqd2" ? "EQD2" : `${say("plan")} ${best.curve.key}`;
    tip.textContent = `${best.curve.name} · ${title}: V(${dose.toFixed(1)} Gy) = ${best.value.toFixed(1)} %`;
    tip.hidden = false;
    tip.style.left = `${Math.min(x + 12, box.width - tip.offsetWidth - 4)}px`;
    tip.style.top = `${Math.max(y - 26, 0)}px`;
  }

  // --- tables -------------------------------------------------------------------------------------------------------

  function cell(row, text, kind = "td", className = "") {
    const node = document.createElement(kind);
    node.textContent = text;
    if (className) node.className = className;
    row.append(node);
    return node;
  }

  function buildLimits() {
    const body = document.querySelector("#dose-limits tbody");
    const grades = { met: "grade-pass", near: "grade-warn", broken: "grade-fail", not_evaluable: "" };
    for (const limit of page.table.limits) {
      const row = body.insertRow();
      cell(row, limit.structure, "th");
      cell(row, limit.limit);
      cell(row, limit.found.value === null ? "—" : `${limit.found.text} ${limit.found.unit}`, "td", "number");
      cell(row, limit.judged_on, "td", "dim");
      const verdict = cell(row, "");
      const badge = document.createElement("span");
      badge.className = `badge ${grades[limit.status]}`;
      badge.textContent = word(page.status_words[limit.status]);
      verdict.append(badge);
      row.title = [limit.reason, limit.citation, limit.is_verified ? "" : say("unverified")].filter(Boolean).join(" — ");
    }
    document.getElementById("no-limits").hidden = page.table.limits.length > 0;
  }

  function buildNumbers() {
    const head = document.querySelector("#dose-numbers thead tr");
    const letters = page.courses.map((c) => c.letter);
    const columns = [...letters, "sum", "eqd2", "low", "high", "maxima"];
    const titles = { sum: say("sum"), eqd2: "EQD2", low: "≥", high: "≤", maxima: "Σmax" };
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
        if (entry && entry.reason) node.title = entry.reason;
      }
    }
  }

  function buildTabs() {
    const tabs = [...document.querySelectorAll("[data-tab]")];
    const open = (name) => tabs.forEach((tab) => {
      tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
      document.getElementById(tab.dataset.tab).hidden = tab.dataset.tab !== name;
    });
    tabs.forEach((tab) => tab.addEventListener("click", () => open(tab.dataset.tab)));
    open(page.table.limits.length ? "dose-limits" : "dose-numbers");
  }

  function buildWarnings() {
    const box = document.getElementById("dose-warnings");
    const texts = [...page.warnings, ...page.refused.map((r) => `${r.structure}: ${r.message}`)];
    for (const text of texts) {
      const line = document.createElement("li");
      line.textContent = text;
      box.append(line);
    }
    box.hidden = texts.length === 0;
  }

  // --- start --------------------------------------------------------------------------------------------------------

  async function start() {
    const answer = await fetch(`${base}/page.json`);
    if (!answer.ok) throw new Error(`page ${answer.status}`);
    page = await answer.json();
    Object.assign(index, page.start);
    buildControls();
    if (page.courses.length < 2) shown.dose = "0";
    PLANES.forEach(listen);
    for (const name of PLANES) slice(name, index[name]).catch(() => {});
    await show("axial");
    app.dataset.firstPictureMs = performance.now().toFixed(0);
    await choose(shown.dose);
    app.dataset.allPicturesMs = performance.now().toFixed(0);
    buildStructures();
    buildLimits();
    buildNumbers();
    buildTabs();
    buildWarnings();
    drawCurves();
    const dvh = document.getElementById("dose-dvh");
    dvh.addEventListener("mousemove", hoverCurve);
    dvh.addEventListener("mouseleave", () => { document.getElementById("dose-tip").hidden = true; drawCurves(); });
    let pending = 0;
    window.addEventListener("resize", () => {
      cancelAnimationFrame(pending);
      pending = requestAnimationFrame(() => { showAll(); drawCurves(); });
    });
    PLANES.forEach(lookAhead);
    app.dataset.ready = "true";
  }

  start().catch(() => { document.getElementById("dose-readout").textContent = say("lost"); });
})();

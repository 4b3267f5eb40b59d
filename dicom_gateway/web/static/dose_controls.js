// The bar above the pictures: which dose, how it is drawn; and the list of structures.

import { drawCurves } from "./dose_histogram.js";
import { page, say, shown, word } from "./dose_state.js";
import { colourOf, scale } from "./dose_values.js";
import { showAll } from "./dose_views.js";

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

export function choose(mode) {
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

export function buildControls() {
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

export function buildStructures() {
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
      const isNote = s.flags.every((flag) => flag.is_note);
      mark.className = isNote ? "flag note" : "flag";
      mark.textContent = isNote ? "i" : "!";
      mark.title = flags.join("; ");
      label.append(mark);
    }
    list.append(label);
  }
}

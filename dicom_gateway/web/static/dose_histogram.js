// The histograms, with the numbers at the cursor.

import { page, say, shown } from "./dose_state.js";

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

export function drawCurves(near = null) {
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

export function hoverCurve(event) {
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

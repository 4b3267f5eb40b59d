// The three planes: shown, moved through, and joined at a point.

import { read } from "./dose_cursor.js";
import { paint } from "./dose_picture.js";
import { fit, toColumn, toRow } from "./dose_place.js";
import { lookAhead, slice } from "./dose_slices.js";
import { PLANES, index, page, point, say, zoom } from "./dose_state.js";

const waiting = {};

export async function show(name) {
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

export const showAll = () => Promise.all(PLANES.map(show));

function move(name, to) {
  const count = page.planes[name].count;
  const wanted = Math.min(Math.max(to, 0), count - 1);
  if (wanted === index[name]) return;
  index[name] = wanted;
  if (point.on !== undefined) point.index[page.planes[name].through] = wanted;
  show(name).then(() => lookAhead(name));
  if (point.on !== undefined) for (const other of PLANES) if (other !== name) show(other);
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

export function listen(name) {
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

// Slices of image, doses and outlines from the server, kept and fetched ahead.

import { base, index, page } from "./dose_state.js";

const KEPT = 150;
const AHEAD = 4;
const cache = new Map();

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

export function slice(name, at) {
  const key = `${name} ${at}`;
  let found = cache.get(key);
  if (found) cache.delete(key);
  else found = fetched(name, at).catch((error) => { cache.delete(key); throw error; });
  cache.set(key, found);
  if (cache.size > KEPT) cache.delete(cache.keys().next().value);
  return found;
}

export function lookAhead(name) {
  const count = page.planes[name].count;
  for (let n = 1; n <= AHEAD; n += 1) {
    for (const at of [index[name] + n, index[name] - n]) {
      if (at >= 0 && at < count) slice(name, at).catch(() => {});
    }
  }
}

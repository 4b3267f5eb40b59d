// What all parts of the dose viewer share: the page as the server made it, what is shown, and the words.

export const app = document.getElementById("dose-app");
export const base = app.dataset.base;
export const zh = document.documentElement.lang.startsWith("zh");
export const word = (pair) => (zh ? pair.zh : pair.en);
// A sentence of the library; pages of older sums have it in one language.
export const because = (text) => (text && page.reason_words && page.reason_words[text] ? word(page.reason_words[text]) : text);
export const say = (key) => app.dataset[key];
export const PLANES = ["axial", "coronal", "sagittal"];
export const shown = { dose: "sum", wash: true, opacity: 0.42, lines: true, window: null, alphaBeta: 3, off: new Set() };
// Of each plane the slice that is shown; the point that a click has chosen; how far each picture is zoomed.
export const index = {};
export const point = {};
export const zoom = {};
export let page = null;

export function open(value) {
  page = value;
  Object.assign(index, page.start);
}

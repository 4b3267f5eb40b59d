// The dose viewer: three planes with colour wash and isodose lines, dose at the cursor, histograms and tables.
// The server sends one slice at a time; what is shown of the doses is worked out here.

import { buildControls, buildStructures, choose } from "./dose_controls.js";
import { drawCurves, hoverCurve } from "./dose_histogram.js";
import { lookAhead, slice } from "./dose_slices.js";
import { PLANES, app, base, index, open, page, say, shown } from "./dose_state.js";
import { buildRegistrations } from "./dose_registration.js";
import { buildLimits, buildNumbers, buildRatios, buildTabs, buildWarnings } from "./dose_tables.js";
import { listen, show, showAll } from "./dose_views.js";

async function start() {
  const answer = await fetch(`${base}/page.json`);
  if (!answer.ok) throw new Error(`page ${answer.status}`);
  open(await answer.json());
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
  buildRatios();
  buildTabs();
  buildWarnings();
  buildRegistrations();
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

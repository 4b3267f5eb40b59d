// A sum that is being made: asks how far it is, and opens the page again when it has ended.
"use strict";

(() => {
  const node = document.getElementById("dose-working");
  if (!node) return;
  const steps = JSON.parse(node.dataset.steps);
  async function look() {
    try {
      const answer = await fetch(`${node.dataset.base}/state`);
      const { state, progress } = await answer.json();
      if (state !== "QUEUED" && state !== "RUNNING") {
        window.location.reload();
        return;
      }
      const [first, ...rest] = (progress || "").split(" ");
      node.querySelector(".what").textContent = [steps[first] || first, ...rest].join(" ");
    } catch (error) {
      node.querySelector(".what").textContent = node.dataset.lost;
    }
    setTimeout(look, 1000);
  }
  look();
})();

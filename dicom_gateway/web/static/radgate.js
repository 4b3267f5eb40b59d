// Live updates and relative times. The server renders every piece; this only puts pieces where they belong.
"use strict";

(() => {
  const ages = new Intl.RelativeTimeFormat(document.documentElement.lang, { style: "narrow", numeric: "auto" });
  const units = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];

  function ageOf(seconds) {
    const past = Date.now() / 1000 - seconds;
    const [size, unit] = units.find(([s]) => Math.abs(past) >= s) || units[3];
    return ages.format(-Math.round(past / size), unit);
  }

  function tick() {
    for (const node of document.querySelectorAll("time[data-age]")) {
      node.textContent = ageOf(Number(node.dataset.age));
    }
    for (const node of document.querySelectorAll("[data-since]")) {
      node.textContent = Math.max(0, Date.now() / 1000 - Number(node.dataset.since)).toFixed(0) + " s";
    }
  }

  function fromHtml(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  }

  const fieldKey = (field) => `${field.form ? field.form.action : ""} ${field.name}`;

  // A section keeps what the reader has opened and typed in it.
  function replaceSection(node, html) {
    const typed = new Map();
    for (const field of node.querySelectorAll("input:not([type=hidden]), select")) {
      typed.set(fieldKey(field), [field.value, field === document.activeElement]);
    }
    const open = new Set([...node.querySelectorAll("details[open]")].map((d) => d.id));
    const fresh = fromHtml(html);
    for (const details of fresh.querySelectorAll("details")) {
      if (open.has(details.id)) details.open = true;
    }
    node.replaceChildren(fresh);
    for (const field of node.querySelectorAll("input:not([type=hidden]), select")) {
      const [value, focused] = typed.get(fieldKey(field)) || ["", false];
      if (value) field.value = value;
      if (focused) field.focus();
    }
  }

  function applyRows(body, change) {
    for (const [id, html] of Object.entries(change.changed)) {
      if (!id.startsWith("study-")) continue;
      const row = fromHtml(html).firstElementChild;
      row.classList.add("fresh");
      const old = document.getElementById(id);
      if (old) old.replaceWith(row);
      else body.append(row);
    }
    const order = change.order.filter((id) => id.startsWith("study-"));
    const wanted = new Set(order);
    for (const row of [...body.children]) if (!wanted.has(row.id)) row.remove();
    order.forEach((id, place) => {
      const row = document.getElementById(id);
      if (row && body.children[place] !== row) body.insertBefore(row, body.children[place] || null);
    });
    const empty = document.getElementById("empty");
    if (empty) empty.hidden = order.length > 0;
  }

  function apply(change) {
    const body = document.getElementById("rows");
    if (body) applyRows(body, change);
    for (const [id, html] of Object.entries(change.changed)) {
      if (id.startsWith("study-")) continue;
      const node = document.getElementById(id);
      if (node) replaceSection(node, html);
    }
    tick();
  }

  function connect() {
    const { stream, mark } = document.body.dataset;
    const live = document.getElementById("live");
    if (!stream) return;
    const source = new EventSource(`${stream}&mark=${encodeURIComponent(mark || "")}`);
    const say = (on) => {
      live.textContent = on ? live.dataset.live : live.dataset.lost;
      live.classList.toggle("on", on);
      live.classList.toggle("off", !on);
    };
    source.addEventListener("hello", () => say(true));
    source.addEventListener("change", (event) => apply(JSON.parse(event.data)));
    source.addEventListener("error", () => say(false));
    window.addEventListener("pagehide", () => source.close());
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });
  tick();
  setInterval(tick, 1000);
  connect();
})();

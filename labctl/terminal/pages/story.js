"use strict";
// Shows the story up to a moment: what comes later is hidden, and each server's role at that moment is told.
const moment = document.getElementById("moment");
const now = document.getElementById("now");
const past = document.getElementById("past-rect");
const rows = Array.from(document.querySelectorAll("g.row"));
const arrows = Array.from(document.querySelectorAll("line[data-row]"));
const height = Number(past.getAttribute("height"));

function show() {
  const until = Number(moment.value);
  const roles = new Map();
  for (const one of [...rows, ...arrows]) {
    one.toggleAttribute("hidden", Number(one.dataset.row) > until);
  }
  for (const row of rows.slice(0, until)) {
    roles.set(row.dataset.server, row.dataset.role);
  }
  past.setAttribute("height", until < rows.length ? (until ? Number(rows[until - 1].dataset.y) : 0) : height);
  const told = Array.from(roles, ([server, role]) => `${server}: ${role}`).sort().join(", ");
  now.textContent = until ? `${until} of ${rows.length} events. ${told}` : "Before the first event.";
}

moment.addEventListener("input", show);
show();

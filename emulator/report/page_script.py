"""The script of a page: tables sort by their headers, filter by a box, and are given as CSV.

Invariant: without it the page shows everything it shows with it; the script adds its own controls, reads nothing but
the page, and is allowed by its hash in the page's content security policy.
"""

from __future__ import annotations

import base64
import hashlib

SCRIPT = """
"use strict";
const exact = cell => cell.dataset.value ?? cell.textContent;
const isNumber = text => text.trim() !== "" && Number.isFinite(Number(text));
const compare = (a, b) => isNumber(a) && isNumber(b) ? Number(a) - Number(b) : a.localeCompare(b);
const quoted = text => /[",\\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;

function sort(table, column, button) {
  const header = button.parentNode, body = table.tBodies[0];
  const down = header.getAttribute("aria-sort") === "ascending";
  for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const missing = text => text === "" || text === "-";
  body.append(...[...body.rows].sort((one, two) => {
    const a = exact(one.cells[column]), b = exact(two.cells[column]);
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    return down ? compare(b, a) : compare(a, b);
  }));
}

function csv(table) {
  const heads = [...table.tHead.rows[0].cells].map(cell => quoted(cell.textContent));
  const rows = [...table.tBodies[0].rows].filter(row => !row.hidden);
  const lines = rows.map(row => [...row.cells].map(cell => quoted(exact(cell))).join(","));
  return [heads.join(","), ...lines].join("\\n") + "\\n";
}

for (const table of document.querySelectorAll("table[data-name]")) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    if (header.textContent === "") return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    header.replaceChildren(button);
    button.addEventListener("click", () => sort(table, column, button));
  });
  const tools = document.createElement("p"), link = document.createElement("a");
  tools.className = "tools";
  link.textContent = "CSV";
  link.className = "csv";
  link.href = "#";
  link.download = table.dataset.name + ".csv";
  link.addEventListener("click", () => {
    link.href = "data:text/csv;charset=utf-8," + encodeURIComponent(csv(table));
  });
  if (table.tBodies[0].rows.length > 8) {
    const box = document.createElement("input"), said = document.createElement("span");
    box.type = "search";
    box.placeholder = "filter";
    box.setAttribute("aria-label", "filter rows of " + table.dataset.name);
    box.addEventListener("input", () => {
      const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every(word => text.includes(word));
        shown += !row.hidden;
      }
      said.textContent = words.length ? " " + shown + " of " + table.tBodies[0].rows.length : "";
    });
    tools.append(box, said, " ");
  }
  tools.append(link);
  table.parentNode.before(tools);
}
"""
HASH = "sha256-" + base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
"""What the content security policy lets run: this script and no other."""

"use strict";

// Tables are whole without this script; it makes each heading a button that sorts by its column.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, heads, column));
    head.append(button);
  });
}

function sort(table, heads, column) {
  const head = heads[column];
  const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", direction);
  const compare = head.classList.contains("number") ? numbers : words;
  const keyed = [...table.tBodies[0].rows].map((row) => [key(row.cells[column]), row]);
  keyed.sort(([a], [b]) => compare(a, b, direction === "ascending" ? 1 : -1));
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

function key(cell) {
  return cell.dataset.v ?? cell.textContent;
}

// What is no number stands last in either direction.
function numbers(a, b, sign) {
  const [x, y] = [Number(a), Number(b)];
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
  return x === y ? 0 : sign * (x < y ? -1 : 1);
}

function words(a, b, sign) {
  return sign * a.localeCompare(b, "en", { numeric: true });
}

// On paper nothing can be opened: what all trials share is printed.
addEventListener("beforeprint", () => {
  document.querySelectorAll("header details").forEach((part) => (part.open = true));
});

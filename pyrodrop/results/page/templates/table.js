"use strict";
// What both pages share: the order of rows, and the buttons in a table's head that choose it.
document.documentElement.classList.add("scripted");

/** Row numbers in order of a value; rows without one come last, equal ones keep their order. */
function sortRows(rows, value, falling) {
  const sign = falling ? -1 : 1;
  const missing = (v) => v === null || v === undefined || v === "" || Number.isNaN(v);
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (missing(x) || missing(y)) return missing(x) - missing(y) || a - b;
    const difference = typeof x === "number" ? x - y : x.localeCompare(y, undefined, { numeric: true });
    return sign * difference || a - b;
  });
}

/** Call sort(column, falling) when a head's button is pressed: rising first, falling the second time. */
function sortButtons(table, sort) {
  for (const button of table.querySelectorAll("thead button[data-column]")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const falling = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.querySelectorAll("thead th[aria-sort]")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      sort(Number(button.dataset.column), falling);
    });
  }
}

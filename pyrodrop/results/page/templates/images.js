"use strict";
// The table of a batch: one row an image, sorted by its cells' data-value, filtered by name and by warnings.
(() => {
  const table = document.getElementById("images");
  const body = table.tBodies[0];
  const lines = [...body.rows];
  const value = (row, column) => {
    const held = lines[row].cells[column].dataset.value;
    return held === undefined || held === "" ? null : Number.isNaN(Number(held)) ? held : Number(held);
  };
  sortButtons(table, (column, falling) => {
    const rows = sortRows(lines.keys(), (row) => value(row, column), falling);
    body.replaceChildren(...rows.map((row) => lines[row]));
  });
  function filter() {
    const wanted = document.getElementById("filter-name").value.trim().toLowerCase();
    const warned = document.getElementById("filter-warned").checked;
    for (const line of lines) {
      line.hidden = !line.dataset.name.toLowerCase().includes(wanted) || (warned && line.dataset.warnings === "0");
    }
    const kept = lines.filter((line) => !line.hidden).length;
    document.getElementById("matching").textContent = `${kept} of ${lines.length} images`;
  }
  document.getElementById("filter-name").addEventListener("input", filter);
  document.getElementById("filter-warned").addEventListener("change", filter);
  filter();
})();

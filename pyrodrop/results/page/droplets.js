"use strict";
// The droplet table, page by page, its filters, and the circles on the image, which follow them.
(() => {
  const source = document.getElementById("droplets-data");
  if (!source) return;
  const { columns, values } = JSON.parse(source.textContent);
  const total = values[0].length;
  const perPage = 100;
  const at = (name) => columns.findIndex((column) => column.name === name);
  const [flags, presence, diameter] = [at("flags"), at("presence"), at("diameter")];
  const table = document.getElementById("droplets");
  const body = table.tBodies[0];
  const overlay = document.querySelector(".overlay");
  const svg = overlay && overlay.querySelector("svg");
  const circles = svg ? [...svg.querySelectorAll("circle")] : [];
  const said = document.getElementById("said");
  const field = (name) => document.getElementById(`filter-${name}`);

  let order = { column: null, falling: false };
  let shown = [...Array(total).keys()];
  let page = 0;
  let chosen = null;

  const text = (column, row) => {
    const value = values[column][row];
    if (value === null) return "\u2013";
    return columns[column].decimals === null ? value : value.toFixed(columns[column].decimals);
  };

  function passes(row) {
    const flag = field("flag").value;
    const own = values[flags][row] ? values[flags][row].split(" ") : [];
    if (flag === "none" ? own.length : flag && !own.includes(flag)) return false;
    const limits = [["presence", presence, 1], ["from", diameter, 1], ["to", diameter, -1]];
    return limits.every(([name, column, sign]) => {
      const limit = field(name).value;
      return limit === "" || sign * values[column][row] >= sign * Number(limit);
    });
  }

  function draw() {
    const pages = Math.max(1, Math.ceil(shown.length / perPage));
    page = Math.min(Math.max(page, 0), pages - 1);
    const rows = shown.slice(page * perPage, (page + 1) * perPage).map((row) => {
      const line = document.createElement("tr");
      line.dataset.row = row;
      line.classList.toggle("chosen", row === chosen);
      columns.forEach((column, number) => {
        const cell = document.createElement(number ? "td" : "th");
        if (!number) {
          cell.scope = "row";
          const button = document.createElement("button");
          button.type = "button";
          button.textContent = text(number, row);
          button.setAttribute("aria-label", `droplet ${text(number, row)}, show it on the image`);
          cell.append(button);
        } else cell.textContent = text(number, row);
        if (column.decimals === null) cell.className = "words";
        line.append(cell);
      });
      return line;
    });
    body.replaceChildren(...rows);
    document.getElementById("page").textContent = `page ${page + 1} of ${pages}`;
    document.getElementById("previous").disabled = page === 0;
    document.getElementById("next").disabled = page === pages - 1;
    document.getElementById("matching").textContent = `${shown.length} of ${total} droplets`;
  }

  function arrange() {
    const every = [...Array(total).keys()];
    shown = every.filter(passes);
    const kept = new Set(shown);
    circles.forEach((circle, row) => circle.classList.toggle("out", !kept.has(row)));
    if (order.column !== null) shown = sortRows(shown, (row) => values[order.column][row], order.falling);
    page = 0;
    draw();
  }

  function choose(row, from) {
    if (chosen !== null && circles[chosen]) circles[chosen].classList.remove("chosen");
    chosen = row;
    if (circles[row]) {
      circles[row].classList.add("chosen");
      if (from === "table") centreOn(circles[row]);
    }
    const place = shown.indexOf(row);
    if (from === "image" && place >= 0) page = Math.floor(place / perPage);
    draw();
    const parts = columns.map((column, number) => {
      const unit = column.unit ? ` ${column.unit}` : "";
      return `${column.label} ${text(number, row)}${values[number][row] === null ? "" : unit}`;
    });
    if (said) said.textContent = `Droplet ${parts.filter((_, number) => columns[number].name !== "flags" || values[number][row]).join(", ")}`;
  }

  // The image: zoom and shift by its view box.
  const whole = svg ? svg.getAttribute("viewBox").split(" ").map(Number) : null;
  let view = whole;
  function look(next) {
    const [x, y, width, height] = next;
    const [left, top, wide, high] = whole;
    const w = Math.min(width, wide), h = Math.min(height, high);
    view = [Math.min(Math.max(x, left), left + wide - w), Math.min(Math.max(y, top), top + high - h), w, h];
    svg.setAttribute("viewBox", view.join(" "));
    overlay.classList.toggle("zoomed", w < wide);
  }
  function zoom(factor, cx = view[0] + view[2] / 2, cy = view[1] + view[3] / 2) {
    const [w, h] = [view[2] / factor, view[3] / factor];
    look([cx - ((cx - view[0]) * w) / view[2], cy - ((cy - view[1]) * h) / view[3], w, h]);
  }
  function centreOn(circle) {
    if (view[2] >= whole[2]) return;
    look([circle.cx.baseVal.value - view[2] / 2, circle.cy.baseVal.value - view[3] / 2, view[2], view[3]]);
  }
  if (svg) {
    const point = (event) => {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      return [place.x, place.y];
    };
    let held = null;
    svg.addEventListener("pointerdown", (event) => {
      held = { from: point(event), moved: false, id: event.pointerId };
    });
    svg.addEventListener("pointermove", (event) => {
      if (!held || view[2] >= whole[2]) return;
      const [x, y] = point(event);
      const [dx, dy] = [held.from[0] - x, held.from[1] - y];
      if (!held.moved && Math.hypot(dx, dy) < view[2] / 200) return;
      held.moved = true;
      svg.setPointerCapture(held.id);
      look([view[0] + dx, view[1] + dy, view[2], view[3]]);
    });
    svg.addEventListener("pointerup", () => setTimeout(() => { held = null; }));
    svg.addEventListener("pointercancel", () => { held = null; });
    svg.addEventListener("click", (event) => {
      if (held && held.moved) return;
      // Of circles that overlap, the one meant is that whose centre is nearest in units of its radius.
      const [x, y] = point(event);
      let [best, least] = [null, 1.2];
      for (const row of shown) {
        const { cx, cy, r } = circles[row];
        const distance = Math.hypot(cx.baseVal.value - x, cy.baseVal.value - y) / r.baseVal.value;
        if (distance < least) [best, least] = [row, distance];
      }
      if (best !== null) choose(best, "image");
    });
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(event.deltaY < 0 ? 1.25 : 0.8, ...point(event));
    }, { passive: false });
    document.getElementById("zoom-in").addEventListener("click", () => zoom(1.6));
    document.getElementById("zoom-out").addEventListener("click", () => zoom(1 / 1.6));
    document.getElementById("zoom-whole").addEventListener("click", () => look(whole));
    document.getElementById("circles").addEventListener("change", (event) => {
      overlay.classList.toggle("bare", !event.target.checked);
    });
  }

  function save() {
    const quoted = (value) => (value === null ? "" : /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
    const named = (column) => (column.unit ? `${column.name}_${column.unit.replace("\u00b5", "u")}` : column.name);
    const lines = [columns.map(named), ...shown.map((row) => values.map((column) => column[row]))];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.map((line) => line.map(quoted).join(",") + "\n").join("")], { type: "text/csv" }));
    link.download = "droplets-shown.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  sortButtons(table, (column, falling) => { order = { column, falling }; arrange(); });
  body.addEventListener("click", (event) => {
    const line = event.target.closest("tr");
    if (line && line.dataset.row !== undefined) choose(Number(line.dataset.row), "table");
  });
  for (const name of ["flag", "presence", "from", "to"]) field(name).addEventListener("input", arrange);
  document.getElementById("clear").addEventListener("click", () => {
    for (const name of ["flag", "presence", "from", "to"]) field(name).value = "";
    arrange();
  });
  document.getElementById("previous").addEventListener("click", () => { page -= 1; draw(); });
  document.getElementById("next").addEventListener("click", () => { page += 1; draw(); });
  document.getElementById("save").addEventListener("click", save);
  arrange();
})();

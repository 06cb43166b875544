"use strict";
// The droplet table, page by page, its filters, and the circles on the image, which follow them.
(() => {
  const source = document.getElementById("droplets-data");
  if (!source) return;
  const { columns, values, counting } = JSON.parse(source.textContent);
  const total = values[0].length;
  const perPage = 100;
  const at = (name) => columns.findIndex((column) => column.name === name);
  const [flags, presence, diameter] = [at("flags"), at("presence"), at("diameter")];
  const table = document.getElementById("droplets");
  const body = table.tBodies[0];
  const box = table.closest(".rows");
  const overlay = document.querySelector(".overlay");
  const svg = overlay && overlay.querySelector("svg");
  const views = [...document.querySelectorAll(".view")];
  const circles = svg ? [...svg.querySelectorAll("circle")] : [];
  const places = circles.map((circle) => ["cx", "cy", "r"].map((name) => circle[name].baseVal.value));
  const marks = [...document.querySelectorAll("path.mark")];
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

  /** Whether a droplet passes the filters, by its flags, presence and diameter. */
  function passes(flagged, sure, wide) {
    const flag = field("flag").value;
    const own = flagged ? flagged.split(" ") : [];
    if (flag === "none" ? own.length : flag && !own.includes(flag)) return false;
    return [["presence", sure, 1], ["from", wide, 1], ["to", wide, -1]].every(([name, value, sign]) => {
      const limit = field(name).value;
      return limit === "" || sign * value >= sign * Number(limit);
    });
  }
  /** How many of those that pass are there, by their presences: also candidates that no row is of. */
  function tellCount() {
    const say = document.getElementById("kept-count");
    if (!counting) return;
    const { flags: flagged, presence: sure, diameter: wide } = counting.others;
    const others = wide.map((_, k) => k).filter((k) => passes(flagged[k], sure[k], wide[k]));
    const drawn = corrections.added.filter((each) => passes("", 1, each.place[2] * counting.scale)).length;
    // Of what is no candidate no size is known: it counts where none is asked for.
    const whole = passes("", counting.unfitted.presence, NaN);
    say.textContent = `count: ${countInWords(counting, shown, others, drawn, whole)}`;
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
    shown = every.filter((row) => passes(values[flags][row], values[presence][row], values[diameter][row]));
    tellCount();
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
      const [x, y, r] = places[row];
      circles[row].classList.add("chosen");
      const ring = r > 0 ? `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0` : "";
      for (const mark of marks) mark.setAttribute("d", ring);
      if (from !== "image") showPlace(row);
      if (from === "button") overlay.scrollIntoView({ block: "nearest" });
    }
    const place = shown.indexOf(row);
    if (from === "image" && place >= 0) page = Math.floor(place / perPage);
    draw();
    const line = body.querySelector("tr.chosen");
    // Within the table's own box, so that the image stays where it is.
    if (from === "image" && line) box.scrollTop = line.offsetTop - box.clientHeight / 2;
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
    for (const each of views) {
      each.querySelector("svg").setAttribute("viewBox", view.join(" "));
      each.classList.toggle("zoomed", w < wide);
    }
  }
  function zoom(factor, cx = view[0] + view[2] / 2, cy = view[1] + view[3] / 2) {
    const [w, h] = [view[2] / factor, view[3] / factor];
    look([cx - ((cx - view[0]) * w) / view[2], cy - ((cy - view[1]) * h) / view[3], w, h]);
  }
  /** Bring a droplet into the view, and nearer if it would be too small to be seen. */
  function showPlace(row) {
    const [x, y, r] = places[row];
    const widest = (2 * r * svg.clientWidth) / 14;
    const shrink = r > 0 && svg.clientWidth > 0 && view[2] > widest ? widest / 2 / view[2] : 1;
    if (shrink === 1 && view[2] >= whole[2]) return;
    const [w, h] = [view[2] * shrink, view[3] * shrink];
    look([x - w / 2, y - h / 2, w, h]);
  }
  /** The droplet whose circle a place lies in: of several, that whose centre is nearest in units of its radius. */
  function droplet(x, y) {
    let [best, least] = [null, 1.2];
    for (const row of shown) {
      const [cx, cy, r] = places[row];
      const distance = Math.hypot(cx - x, cy - y) / r;
      if (distance < least) [best, least] = [row, distance];
    }
    return best;
  }
  function tipFor(element) {
    const tip = document.createElement("span");
    tip.className = "tip";
    tip.hidden = true;
    tip.setAttribute("aria-hidden", "true");
    element.append(tip);
    const words = (row) => {
      const own = columns[diameter].unit;
      const [low, high] = [at("diameter_q05"), at("diameter_q95")];
      const between = low >= 0 && high >= 0 ? ` (${text(low, row)} to ${text(high, row)})` : "";
      const flagged = values[flags][row] ? `, ${values[flags][row]}` : "";
      return `droplet ${text(0, row)}: ${text(diameter, row)} ${own}${between}${flagged}`;
    };
    return (row, event) => {
      tip.hidden = row === null;
      if (row === null) return;
      tip.textContent = words(row);
      const area = element.getBoundingClientRect();
      const [x, y] = [event.clientX - area.left, event.clientY - area.top];
      tip.style.left = `${Math.max(0, Math.min(x + 12, area.width - tip.offsetWidth - 4))}px`;
      tip.style.top = `${y > 40 ? y - tip.offsetHeight - 10 : y + 16}px`;
    };
  }
  for (const each of views) {
    const svg = each.querySelector("svg");
    const tip = tipFor(each);
    const point = (event) => {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      return [place.x, place.y];
    };
    let held = null;
    svg.addEventListener("pointerdown", (event) => {
      held = { from: point(event), moved: false, id: event.pointerId };
    });
    svg.addEventListener("pointermove", (event) => {
      if (!held && event.pointerType === "mouse") tip(droplet(...point(event)), event);
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
    svg.addEventListener("pointerleave", () => tip(null));
    svg.addEventListener("click", (event) => {
      if (held && held.moved) return;
      const row = droplet(...point(event));
      if (row !== null) choose(row, "image");
    });
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(event.deltaY < 0 ? 1.25 : 0.8, ...point(event));
    }, { passive: false });
  }
  if (svg) {
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
    if (!line || line.dataset.row === undefined) return;
    choose(Number(line.dataset.row), event.target.closest("button") ? "button" : "table");
  });
  for (const name of ["flag", "presence", "from", "to"]) field(name).addEventListener("input", arrange);
  const sliders = ["presence", "from"].map((name) => [field(name), document.getElementById(`slide-${name}`)]);
  for (const [number, slider] of sliders) {
    slider.addEventListener("input", () => {
      number.value = Number(slider.value) > 0 ? Number(Number(slider.value).toPrecision(3)) : "";
      arrange();
    });
    number.addEventListener("input", () => { slider.value = number.value || 0; });
  }
  document.addEventListener("corrected", tellCount);
  document.getElementById("clear").addEventListener("click", () => {
    for (const name of ["flag", "presence", "from", "to"]) field(name).value = "";
    for (const [, slider] of sliders) slider.value = 0;
    arrange();
  });
  document.getElementById("previous").addEventListener("click", () => { page -= 1; draw(); });
  document.getElementById("next").addEventListener("click", () => { page += 1; draw(); });
  document.getElementById("save").addEventListener("click", save);
  document.getElementById("copy")?.addEventListener("click", () => {
    getSelection().selectAllChildren(document.getElementById("method"));
    // The newer way to copy is not there for a page that was opened from a disk in every browser.
    const done = document.execCommand("copy");
    document.getElementById("copied").textContent = done ? "copied" : "selected: copy it with Ctrl C";
  });
  arrange();
})();

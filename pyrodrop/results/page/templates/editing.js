"use strict";
// Corrections by hand: a press on a circle removes it, dragging draws one; saved as a file that pyrodrop edit takes.
(() => {
  const button = document.getElementById("correct");
  const overlay = document.querySelector(".overlay");
  if (!button || !overlay) return;
  const { values, counting } = JSON.parse(document.getElementById("droplets-data").textContent);
  const ids = values[0];
  const svg = overlay.querySelector("svg");
  const drawn = document.getElementById("drawn");
  const circles = [...drawn.querySelectorAll("circle")];
  const placeOf = (circle) => ["cx", "cy", "r"].map((name) => circle[name].baseVal.value);
  const say = document.getElementById("corrected");
  const [undoButton, saveButton] = ["undo", "save-edits"].map((name) => document.getElementById(name));
  const { removed, kept, added } = corrections;
  const done = []; // what takes each correction back, the last one last
  let on = false;
  let held = null;

  function point(event) {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [place.x, place.y];
  }
  /** The circle that a place lies in: of several, that whose centre is nearest in units of its radius. */
  function circleAt(x, y) {
    let [best, least] = [null, 1.2];
    for (const circle of [...circles, ...added.map((each) => each.circle)]) {
      if (circle.classList.contains("out")) continue;
      const [cx, cy, r] = placeOf(circle);
      const distance = Math.hypot(cx - x, cy - y) / r;
      if (distance < least) [best, least] = [circle, distance];
    }
    return best;
  }
  function circleOf(x, y, r) {
    const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    circle.setAttribute("class", "added");
    for (const [name, value] of [["cx", x], ["cy", y], ["r", r]]) circle.setAttribute(name, value);
    return circle;
  }

  function tell() {
    circles.forEach((circle, row) => {
      circle.classList.toggle("removed", removed.has(row));
      circle.classList.toggle("sure", kept.has(row));
    });
    undoButton.disabled = saveButton.disabled = done.length === 0;
    const parts = [[removed.size, "removed"], [added.length, "added"], [kept.size, "kept"]];
    const said = parts.filter(([number]) => number).map(([number, word]) => `${number} ${word}`);
    const count = countInWords(counting, circles.map((_, row) => row), counting.others.odds.map((_, k) => k), added.length, true);
    say.textContent = said.length ? `${said.join(", ")}: ${count} droplets` : `${count} droplets, nothing corrected yet`;
    document.dispatchEvent(new Event("corrected"));
  }
  function change(act, back) {
    act();
    done.push(back);
    tell();
  }
  /** Take a row out of a set, or put it in; and out of the other. */
  function mark(row, set, other) {
    const before = [set.has(row), other.has(row)];
    change(
      () => { if (before[0]) set.delete(row); else { set.add(row); other.delete(row); } },
      () => { [set, other].forEach((each, k) => { if (before[k]) each.add(row); else each.delete(row); }); },
    );
  }
  function add(x, y, r) {
    const own = { circle: circleOf(x, y, r), place: [x, y, r] };
    change(
      () => { drawn.append(own.circle); added.push(own); },
      () => { own.circle.remove(); added.splice(added.indexOf(own), 1); },
    );
  }
  function takeAway(own) {
    const at = added.indexOf(own);
    change(
      () => { own.circle.remove(); added.splice(at, 1); },
      () => { drawn.append(own.circle); added.splice(at, 0, own); },
    );
  }

  // Before the handlers of the image, which are for looking at it, and then not for them.
  function listen(kind, act) {
    overlay.addEventListener(kind, (event) => {
      if (!on) return;
      event.stopPropagation();
      act(event);
    }, { capture: true });
  }
  listen("pointerdown", (event) => {
    if (event.button !== 0) return;
    held = { from: point(event), circle: null };
    svg.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  listen("pointermove", (event) => {
    if (!held) return;
    const [x, y] = point(event);
    const r = Math.hypot(x - held.from[0], y - held.from[1]);
    if (!held.circle) {
      // The hand shakes: so little is a press.
      if (r * svg.getScreenCTM().a < 4) return;
      held.circle = circleOf(...held.from, r);
      drawn.append(held.circle);
    }
    held.circle.setAttribute("r", r);
  });
  listen("pointerup", (event) => {
    if (!held) return;
    const { from, circle } = held;
    held = null;
    if (circle) {
      const r = placeOf(circle)[2];
      circle.remove();
      const [, , width, height] = svg.dataset.whole.split(" ").map(Number);
      if (from[0] >= -0.5 && from[1] >= -0.5 && from[0] <= width - 0.5 && from[1] <= height - 0.5) add(...from, r);
      return;
    }
    const pressed = circleAt(...from);
    const own = added.find((each) => each.circle === pressed);
    if (own) takeAway(own);
    else if (pressed) mark(circles.indexOf(pressed), ...(event.shiftKey ? [kept, removed] : [removed, kept]));
    else say.textContent = "There is no circle: drag from a droplet's centre to its edge to add it.";
  });
  listen("pointercancel", () => { held?.circle?.remove(); held = null; });
  listen("click", () => {});

  function save() {
    const rounded = (value) => Number(value.toFixed(3));
    const edits = { note: `corrected by hand on the page of ${document.title}` };
    if (counting.sha256) edits.droplets_sha256 = counting.sha256;
    const named = (rows) => [...rows].map((row) => ids[row]).sort((a, b) => a - b);
    if (removed.size) edits.remove = named(removed);
    if (kept.size) edits.keep = named(kept);
    if (added.length) edits.add = added.map((each) => each.place.map(rounded));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${JSON.stringify(edits, null, 2)}\n`], { type: "application/json" }));
    link.download = "edits.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  svg.dataset.whole = svg.getAttribute("viewBox");
  button.addEventListener("click", () => {
    on = !on;
    button.setAttribute("aria-pressed", String(on));
    overlay.classList.toggle("correcting", on);
    overlay.querySelector(".tip").hidden = true;
    document.getElementById("how-to-correct").hidden = !on;
    if (on) tell();
  });
  undoButton.addEventListener("click", () => { if (done.length) { done.pop()(); tell(); } });
  saveButton.addEventListener("click", save);
  document.addEventListener("keydown", (event) => {
    if (on && (event.ctrlKey || event.metaKey) && event.key === "z" && !event.target.matches("input")) undoButton.click();
  });
  addEventListener("beforeunload", (event) => { if (done.length && !saveButton.dataset.saved) event.preventDefault(); });
  saveButton.addEventListener("click", () => { saveButton.dataset.saved = "yes"; });
})();

"use strict";
// The frames under a slider: the picture of a frame, or the one before it, circles and trails of its tracks.
(() => {
  const source = document.getElementById("tracks-data");
  if (!source) return;
  const { tracks, pictures } = JSON.parse(source.textContent);
  const slider = document.getElementById("frame");
  const number = document.getElementById("frame-number");
  const picture = document.getElementById("picture");
  const [rings, ways] = ["rings", "ways"].map((name) => document.getElementById(name));
  const trails = document.getElementById("trails");
  const play = document.getElementById("play");
  const held = Object.keys(pictures).map(Number).sort((a, b) => a - b);
  const LENGTH = 25;
  let timer = null;

  const colour = (track) => `hsl(${(track * 137.508) % 360} 85% 60%)`;

  function element(name, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    return made;
  }

  function draw() {
    const frame = Number(slider.value);
    number.textContent = frame;
    const nearest = held.filter((each) => each <= frame).pop() ?? held[0];
    if (nearest !== undefined) picture.setAttribute("href", pictures[nearest]);
    const circles = [];
    const lines = [];
    tracks.forEach(([first, x, y, radius], track) => {
      const at = frame - first;
      if (at < 0 || at >= x.length) return;
      const look = { fill: "none", stroke: colour(track), "stroke-width": 1.5, "vector-effect": "non-scaling-stroke" };
      const ring = element("circle", { cx: x[at] / 10, cy: y[at] / 10, r: radius[at] / 10, ...look });
      const title = element("title", {});
      title.textContent = `track ${track}, radius ${(radius[at] / 10).toFixed(1)} px`;
      ring.append(title);
      circles.push(ring);
      if (!trails.checked || at === 0) return;
      const points = [];
      for (let k = Math.max(0, at - LENGTH); k <= at; k += 1) points.push(`${x[k] / 10},${y[k] / 10}`);
      lines.push(element("polyline", { points: points.join(" "), ...look }));
    });
    rings.replaceChildren(...circles);
    ways.replaceChildren(...lines);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "play";
  }

  play.addEventListener("click", () => {
    if (timer) {
      stop();
      return;
    }
    play.textContent = "stop";
    timer = setInterval(() => {
      slider.value = Number(slider.value) >= Number(slider.max) ? 0 : Number(slider.value) + 1;
      draw();
    }, 120);
  });
  slider.addEventListener("input", draw);
  trails.addEventListener("change", draw);
  document.documentElement.classList.add("scripted");
  draw();
})();

"use strict";

// Learning curves of each trial: pointed at, a curve says which trial it is; buttons switch curves on and off.
function show(figure, data) {
  const found = [...figure.querySelectorAll("[data-part]")];
  const parts = Object.fromEntries(found.map((part) => [part.dataset.part, part]));
  const state = { metric: 0, log: null, hidden: data.axes.map(() => new Set()), at: null };
  figure.hidden = false;
  const redraw = () => draw(figure, parts, data, state);

  data.metrics.forEach((metric, number) => parts.metric.append(new Option(metric.name, number)));
  parts.metric.hidden = data.metrics.length < 2;
  parts.metric.addEventListener("change", () => {
    Object.assign(state, { metric: Number(parts.metric.value), log: null, at: null });
    redraw();
  });
  parts.log.addEventListener("click", () => {
    state.log = parts.log.getAttribute("aria-pressed") !== "true";
    redraw();
  });
  data.axes.forEach((axis, number) => {
    parts.axes.append(...chips(axis, number ? [] : data.colours, state.hidden[number], redraw));
  });

  const listen = (name, act) => parts.plot.addEventListener(name, (event) => act(parts, data, state, event));
  listen("pointermove", point);
  listen("pointerdown", point);
  listen("pointerleave", leave);
  listen("keydown", walk);
  redraw();
  new ResizeObserver(() => figure.clientWidth === state.width || redraw()).observe(figure);
}

// A line of buttons for an axis, each pressed while trials of its value are shown; none where there is no choice.
function chips([name, values], colours, hidden, redraw) {
  if (values.length < 2 || values.length > 16) return [];
  const line = document.createElement("div");
  line.append(Object.assign(document.createElement("span"), { textContent: name.replaceAll("_", " ") }));
  values.forEach((value, number) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: value });
    button.setAttribute("aria-pressed", "true");
    if (colours.length) ink(button, colours[number]);
    button.addEventListener("click", () => {
      hidden.delete(number) || hidden.add(number);
      button.setAttribute("aria-pressed", String(!hidden.has(number)));
      redraw();
    });
    line.append(button);
  });
  return [line];
}

// Black would not be seen in the dark.
function ink(element, colour) {
  element.style.setProperty("--curve", colour === "#000000" ? "var(--ink)" : colour);
}

// The shown trials with their points, `[step, value]`, that can be drawn.
function chosen(data, state) {
  const { steps, series } = data.metrics[state.metric];
  const found = [];
  data.trials.forEach((trial, number) => {
    if (!series[number] || state.hidden.some((values, axis) => values.has(trial[axis + 1]))) return;
    const [which, values] = series[number];
    const all = steps[which].map((step, n) => [step, values[n]]);
    const points = all.filter(([, value]) => value !== null && !(state.log && value <= 0));
    if (points.length) found.push({ trial, points });
  });
  return found;
}

// Logarithmic where curves end, or lie, far apart; else a start far above, which would take most of the plot, is cut.
function limits(found, state) {
  const values = found.flatMap(({ points }) => points.map(([, value]) => value));
  const ends = found.map(({ points }) => points.at(-1)[1]);
  const middle = [...values].sort((a, b) => a - b)[values.length >> 1];
  const [low, high, top] = [least(values), Math.max(greatest(ends), middle), greatest(values)];
  if (state.log === null) state.log = low > 0 && high > 5 * low;
  if (state.log) return [low / 1.1, top * 1.1];
  const cut = Math.max(high, Math.min(top, 2 * high - low));
  const margin = Math.max(0.05 * (cut - low), 0.02 * Math.abs(cut)) || 1;
  return [low - margin, cut + margin];
}

const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const greatest = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);

function draw(figure, parts, data, state) {
  state.width = figure.clientWidth;
  const width = Math.max(260, state.width), height = Math.round(Math.min(440, Math.max(240, width * 0.5)));
  const found = chosen(data, state);
  const [low, high] = found.length ? limits(found, state) : [0.1, 1];
  parts.log.setAttribute("aria-pressed", String(Boolean(state.log)));
  const ends = found.flatMap(({ points }) => [points[0][0], points.at(-1)[0]]);
  const [first, last] = found.length ? [least(ends), greatest(ends)] : [0, 1];
  const across = scale(first, last > first ? last : first + 1, 56, width - 24, false);
  const up = scale(low, high, height - 40, 26, state.log);
  const placed = (points) => points.map(([step, value]) => [across(step), up(value)]);
  state.drawn = found.map(({ trial, points }) => ({ trial, points, places: placed(points) }));

  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
  const title = found.length ? data.metrics[state.metric].name : "nothing is switched on";
  svg.append(...axes(across, up, width, height, title));
  // A picture within the picture cuts off what lies outside of it.
  const [x, y, w, h] = [50, 20, width - 62, height - 56];
  const inside = make("svg", { x, y, width: w, height: h, viewBox: `${x} ${y} ${w} ${h}` });
  state.lines = make("g", { class: "lines", "stroke-opacity": Math.min(1, Math.max(0.2, 40 / found.length)) });
  for (const one of mixed(state.drawn)) {
    const d = one.places.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    one.path = make("path", { d: one.places.length > 1 ? d : `${d}h0` });
    ink(one.path, data.colours[one.trial[1]]);
    state.lines.append(one.path);
  }
  state.dot = make("circle", { r: 4, visibility: "hidden" });
  inside.append(state.lines);
  svg.append(inside, state.dot);
  parts.plot.replaceChildren(svg);
  mark(parts, data, state, null);
}

// In an order that mixes colours, so that none covers all others.
function mixed(items) {
  const order = (n) => (n * 0.6180339887) % 1;
  return items.map((item, n) => [order(n), item]).sort(([a], [b]) => a - b).map(([, item]) => item);
}

function scale(low, high, from, to, log) {
  const f = log ? Math.log10 : (x) => x;
  const place = (x) => from + ((f(x) - f(low)) / (f(high) - f(low))) * (to - from);
  return Object.assign(place, { low, high, log });
}

function axes(across, up, width, height, title) {
  const parts = [];
  for (const step of ticks(across)) {
    parts.push(make("text", { x: across(step), y: height - 22, "text-anchor": "middle" }, step.toLocaleString("en")));
  }
  for (const value of ticks(up)) {
    parts.push(make("line", { x1: 50, x2: width - 12, y1: up(value), y2: up(value) }));
    parts.push(make("text", { x: 45, y: up(value) + 4, "text-anchor": "end" }, short(value)));
  }
  parts.push(make("text", { x: width - 12, y: height - 5, "text-anchor": "end" }, "training step"));
  parts.push(make("text", { x: 4, y: 12 }, title));
  return parts;
}

function ticks({ low, high, log }) {
  if (log && high / low > 10) {
    const [from, to] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
    const every = Math.max(1, Math.ceil((to - from + 1) / 8));
    return Array.from({ length: Math.floor((to - from) / every) + 1 }, (_, n) => 10 ** (from + n * every));
  }
  const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const every = power * [1, 2, 5, 10].find((n) => n * power >= rough);
  const from = Math.ceil(low / every);
  const count = Math.floor(high / every) - from + 1;
  return Array.from({ length: count }, (_, n) => Number(((from + n) * every).toPrecision(12)));
}

function short(value) {
  return Number(value.toPrecision(4)).toString().replace(/e\+?/, "e");
}

function make(name, attributes, text = "") {
  const element = document.createElementNS(document.querySelector(".plot svg").namespaceURI, name);
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
  element.textContent = text;
  return element;
}

// The curve nearest to the pointer, above or below it, if any is near.
function point(parts, data, state, event) {
  const svg = parts.plot.firstChild, box = svg.getBoundingClientRect(), wide = box.width / svg.viewBox.baseVal.width;
  const [x, y] = [(event.clientX - box.left) / wide, (event.clientY - box.top) / wide];
  let best = null, nearest = 80; // pixels
  for (const one of state.drawn) {
    const distance = Math.abs(heightAt(one.places, x) - y);
    if (distance < nearest) [best, nearest] = [one, distance];
  }
  if (!best) return mark(parts, data, state, null);
  const away = (n) => Math.abs(best.places[n][0] - x);
  const number = [...best.places.keys()].reduce((a, n) => (away(n) < away(a) ? n : a));
  mark(parts, data, state, { one: best, number });
}

// A finger that is lifted leaves what it has pointed at.
function leave(parts, data, state, event) {
  if (event.pointerType === "mouse") mark(parts, data, state, null);
}

function heightAt(places, x) {
  const after = places.findIndex(([px]) => px >= x);
  if (after === 0 || after === -1) {
    const [px, py] = after === 0 ? places[0] : places.at(-1);
    return Math.abs(px - x) < 15 ? py : NaN;
  }
  const [[ax, ay], [bx, by]] = [places[after - 1], places[after]];
  return ay + ((by - ay) * (x - ax)) / (bx - ax || 1);
}

// Arrows go along a curve and from one to the next.
function walk(parts, data, state, event) {
  const ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  if (!state.drawn.length || !(event.key in ways)) return;
  const [along, between] = ways[event.key];
  event.preventDefault();
  const place = state.at ? state.drawn.indexOf(state.at.one) + between : 0;
  const one = state.drawn[(place + state.drawn.length) % state.drawn.length];
  const number = state.at ? state.at.number + along : one.points.length - 1;
  mark(parts, data, state, { one, number: Math.min(Math.max(number, 0), one.points.length - 1) });
}

// Bring a curve forward, and say which trial it is and what it is worth at a step.
function mark(parts, data, state, at) {
  state.at?.one.path.classList.remove("on");
  state.at = at;
  state.lines.classList.toggle("dim", Boolean(at));
  state.dot.setAttribute("visibility", at ? "visible" : "hidden");
  parts.said.textContent = "Point at a curve, or tap it, and its trial is named here.";
  if (!at) return;
  const { trial, points, places, path } = at.one;
  path.classList.add("on");
  state.lines.append(path);
  state.dot.setAttribute("cx", places[at.number][0]);
  state.dot.setAttribute("cy", places[at.number][1]);
  ink(state.dot, data.colours[trial[1]]);
  const [step, value] = points[at.number];
  const where = `${data.metrics[state.metric].name} ${short(value)} at step ${step.toLocaleString("en")}`;
  const [id, ...values] = trial;
  const setting = data.axes.map(([name, texts], axis) => `${name.replaceAll("_", " ")} ${texts[values[axis]]}`);
  parts.said.textContent = [where, setting.join(", "), `trial ${id}`].join(" · ");
}

for (const data of document.querySelectorAll("script.curves")) {
  show(data.closest("figure"), JSON.parse(data.textContent));
}

// Machines as a grid of cells on one canvas, coloured by what they do. 10,000 cells are drawn in a few
// milliseconds, and only when something has changed. Arrow keys move from machine to machine; the
// machine under the mouse or the keys is said in words beside the grid.
import {element, kinds, kindOf} from "./words.js";

const gap = 1;

export function makeGrid(select) {
  const canvas = element("canvas", {tabindex: "0", role: "application", "aria-label": "Machines: arrow keys move, Enter opens one", "aria-describedby": "grid-said"});
  const said = element("p", {id: "grid-said", class: "said", "aria-live": "polite"});
  const box = element("div", {class: "grid"}, canvas);
  const node = element("div", {}, box, said);
  let items = [], size = 16, columns = 1, at = -1;

  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    return Object.fromEntries([...Object.keys(kinds), "text"].map((kind) => [kind, style.getPropertyValue(`--${kind}`).trim()]));
  };

  function measure() {
    const width = canvas.clientWidth || 300;
    size = items.length > 4000 ? 9 : items.length > 1000 ? 12 : items.length > 200 ? 18 : 28;
    columns = Math.max(1, Math.floor(width / size));
    const height = Math.max(1, Math.ceil(items.length / columns)) * size;
    const scale = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.height = `${height}px`;
    }
    return scale;
  }

  function draw() {
    const scale = measure(), colour = colours(), pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    // By colour, since a change of colour costs more than a cell.
    const groups = new Map();
    items.forEach((item, number) => {
      const kind = kindOf(item);
      if (!groups.has(kind)) groups.set(kind, []);
      groups.get(kind).push(number);
    });
    for (const [kind, numbers] of groups) {
      pen.fillStyle = colour[kind];
      for (const number of numbers) {
        pen.fillRect((number % columns) * size, Math.floor(number / columns) * size, size - gap, size - gap);
      }
    }
    if (at >= 0 && at < items.length) {
      pen.strokeStyle = colour.text;
      pen.lineWidth = 2;
      pen.strokeRect((at % columns) * size + 1, Math.floor(at / columns) * size + 1, size - gap - 2, size - gap - 2);
    }
  }

  function say() {
    const item = items[at];
    said.textContent = item
      ? `${item.name}: ${kinds[kindOf(item)]}${item.phase ? `, phase ${item.phase}` : ""}${item.reason ? `, ${item.reason}` : ""}${item["image-name"] ? `, image ${item["image-name"]}` : ""}`
      : `${items.length} machines`;
  }

  function move(to) {
    at = Math.max(0, Math.min(items.length - 1, to));
    const top = Math.floor(at / columns) * size;
    if (top < box.scrollTop) box.scrollTop = top;
    if (top + size > box.scrollTop + box.clientHeight) box.scrollTop = top + size - box.clientHeight;
    draw();
    say();
  }

  const under = (event) => {
    const box = canvas.getBoundingClientRect();
    const number = Math.floor((event.clientY - box.top) / size) * columns + Math.floor((event.clientX - box.left) / size);
    return number < items.length ? number : -1;
  };
  canvas.addEventListener("mousemove", (event) => { const number = under(event); if (number >= 0 && number !== at) move(number); });
  canvas.addEventListener("click", (event) => { const number = under(event); if (number >= 0) select(items[number]); });
  canvas.addEventListener("keydown", (event) => {
    const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -items.length, End: items.length}[event.key];
    if (step !== undefined) move(at + step);
    else if (event.key === "Enter" && items[at]) select(items[at]);
    else return;
    event.preventDefault();
  });
  const watcher = new ResizeObserver(draw);
  watcher.observe(canvas);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", draw);

  return {
    node,
    show(machines) {
      const name = items[at]?.name;
      items = machines;
      at = name === undefined ? -1 : items.findIndex((item) => item.name === name);
      draw();
      say();
    },
    stop() {
      watcher.disconnect();
      scheme.removeEventListener("change", draw);
    },
  };
}

// What the page is made of. Every text goes in as text, never as markup: modules choose their names,
// errors and log lines, and none of them is trusted.

const SVG = "http://www.w3.org/2000/svg";
// The points of a line, one a second.
const POINTS = 60;

const by = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// Leaves what is there already alone: a selection, a scroll position and a reader's place stay.
function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function mark(target, name, value) {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

function shape(tone) {
  const paths = {
    well: "M5 0a5 5 0 1 0 0 10a5 5 0 1 0 0-10z",
    warn: "M5 0L10 9.5H0z",
    bad: "M0.5 0.5h9v9h-9z",
    idle: "M5 0.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9z",
  };
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "mark");
  svg.setAttribute("viewBox", "0 0 10 10");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", paths[tone]);
  path.setAttribute("stroke-width", tone === "idle" ? "1.6" : "0");
  if (tone === "idle") path.setAttribute("fill", "none");
  svg.append(path);
  return svg;
}

// A word with its shape and colour, told anew only where it is another.
function state(target, tone, word) {
  if (target.dataset.tone === tone && target.textContent === word) return;
  target.dataset.tone = tone;
  target.replaceChildren(shape(tone), element("span", {}, word));
}

// A line over the last minute, and the area under another one.
class Line {
  constructor() {
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("class", "spark");
    this.svg.setAttribute("viewBox", `0 0 ${POINTS - 1} 20`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("aria-hidden", "true");
    const path = (name) => {
      const made = document.createElementNS(SVG, "path");
      made.setAttribute("class", name);
      this.svg.append(made);
      return made;
    };
    [this.area, this.line] = [path("area"), path("line")];
    this.points = [];
  }

  // Takes a pair: what the line goes through, and what the area reaches to.
  add(upper, lower) {
    this.points.push([upper, lower]);
    if (this.points.length > POINTS) this.points.shift();
  }

  draw() {
    const most = Math.max(...this.points.map(([upper]) => upper ?? 0)) || 1;
    const from = POINTS - this.points.length;
    const y = (value) => (19 - (Math.min(value, most) / most) * 18).toFixed(1);
    let line = "";
    let area = "";
    let start = null;
    const close = (end) => {
      if (start !== null) area += `L${end} 20L${start} 20z`;
      start = null;
    };
    this.points.forEach(([upper, lower], index) => {
      const x = from + index;
      if (upper === null) return close(x - 1);
      const begins = start === null;
      if (begins) start = x;
      line += `${begins ? "M" : "L"}${x} ${y(upper)}`;
      area += `${begins ? "M" : "L"}${x} ${y(lower)}`;
    });
    close(POINTS - 1);
    mark(this.line, "d", line);
    mark(this.area, "d", area);
  }
}

// The whole: what is told at `events`, as it is told, and whether it still is.

// How long nothing may come before the connection counts as lost, and the wait before the next.
const SILENCE_MS = 5000;
const RETRY_MS = 2000;
// The reasons that are shown of why the engine is not ok.
const REASONS = 12;

const total = new Line();
by("figure-rate-line").append(total.svg);

function showFigures(report) {
  const all = [...modules.values()];
  const atWork = all.filter((module) => module.tone === "well").length;
  say(by("figure-modules"), `${count(atWork)} of ${count(all.length)}`);
  const counts = new Map();
  for (const module of all) {
    if (module.tone !== "well") counts.set(module.word, (counts.get(module.word) ?? 0) + 1);
  }
  const others = [...counts].map(([word, many]) => `${count(many)} ${word}`);
  say(by("figure-modules-note"), others.join(", "));

  const known = report.paces.map((pace) => pace.events_per_second);
  const isKnown = known.some((value) => value !== null);
  const sum = isKnown ? known.reduce((so_far, value) => so_far + (value ?? 0), 0) : null;
  say(by("figure-rate"), rate(sum));
  total.add(sum, sum);
  total.draw();

  let furthest = null;
  for (const { name, module } of all) {
    for (const { blocks } of module.lag) {
      if (furthest === null || blocks > furthest.blocks) furthest = { name, blocks };
    }
  }
  const isBehind = furthest !== null && furthest.blocks > 0;
  const head = furthest === null ? "–" : "at the head";
  say(by("figure-lag"), isBehind ? plural(furthest.blocks, "block", "blocks") : head);
  say(by("figure-lag-note"), isBehind ? furthest.name : "");

  const withLetters = report.modules.filter((module) => module.dead_letters > 0);
  const letters = withLetters.reduce((so_far, module) => so_far + module.dead_letters, 0);
  say(by("figure-letters"), count(letters));
  const of = withLetters.length === 1 ? withLetters[0].name : `${count(withLetters.length)} modules`;
  say(by("figure-letters-note"), letters === 0 ? "" : `of ${of}`);
}

let version = null;
let started = null;

function show(report) {
  // Another version may say other things than this page knows.
  if (version !== null && version !== report.version) return location.reload();
  version = report.version;
  if (started !== null && started !== report.started_ms) startedAnew();
  started = report.started_ms;
  const [tone, word] = {
    ok: ["well", "Ok"],
    degraded: ["warn", "Degraded"],
    down: ["bad", "Down"],
  }[report.status];
  const stage = report.stage === "running" ? "" : `, ${report.stage}`;
  state(by("verdict"), tone, word + stage);
  say(by("version"), report.version);
  say(by("uptime"), `up ${span(report.uptime_ms)}`);
  document.title = `${word}: Nexum`;
  by("reasons").hidden = report.reasons.length === 0;
  const key = report.reasons.join("\n");
  if (by("reasons").dataset.key !== key) {
    by("reasons").dataset.key = key;
    const reasons = report.reasons.slice(0, REASONS);
    const others = report.reasons.length - reasons.length;
    if (others > 0) reasons.push(`and ${count(others)} more`);
    by("reasons").replaceChildren(...reasons.map((reason) => element("li", {}, reason)));
  }
  by("main").hidden = false;
  takeModules(report);
  showFigures(report);
  showChains(report);
  showModules();
  showLetters(report);
  if (!report.logs) hideLog();
  else if (lastLine === 0) showLog();
}

// Its counters begin at zero again, and so do the lines drawn of them; its log does, too.
function startedAnew() {
  modules.clear();
  total.points.length = 0;
  by("log").replaceChildren();
  lastLine = 0;
}

let source = null;
let heard = null;
let since = performance.now();
let retry = null;

function isLive(live) {
  const before = document.body.dataset.link;
  const now = live ? "live" : "lost";
  if (before === now) return;
  document.body.dataset.link = now;
  by("link-mark").replaceChildren(shape(live ? "well" : "bad"));
  mark(by("link-mark"), "data-tone", live ? "well" : "bad");
  say(by("link-word"), live ? "Live" : "Connection lost, trying again.");
  showAge();
}

function showAge() {
  const lost = document.body.dataset.link === "lost";
  if (!lost) return say(by("age"), "");
  const nothing = "Nothing has come yet: the engine may be down, or too many may be looking.";
  const old = () => `What is shown is ${span(performance.now() - heard)} old.`;
  say(by("age"), heard === null ? nothing : old());
}

function hear(event, take) {
  // A source that was given up says nothing any more.
  if (event.target !== source) return;
  heard = since = performance.now();
  take(JSON.parse(event.data));
  isLive(true);
}

function connect() {
  source?.close();
  clearTimeout(retry);
  retry = null;
  since = performance.now();
  source = new EventSource("events");
  source.addEventListener("status", (event) => hear(event, show));
  source.addEventListener("log", (event) => hear(event, ({ lines }) => takeLines(lines)));
  source.addEventListener("error", (event) => {
    if (event.target !== source) return;
    isLive(false);
    // The browser tries again by itself after some errors, and gives up after others.
    if (source.readyState === EventSource.CLOSED) retry ??= setTimeout(connect, RETRY_MS);
  });
}

setInterval(() => {
  if (retry === null && performance.now() - since > SILENCE_MS) {
    isLive(false);
    connect();
  }
  showAge();
}, 1000);

by("filter").addEventListener("input", showModules);
by("only-trouble").addEventListener("change", showModules);
by("log-level").addEventListener("change", showLog);
by("show-all").addEventListener("click", () => {
  showsAll = true;
  showModules();
});
connect();

// The table of modules.

// The rows that are shown before somebody asks for all of them.
const ROWS = 100;

// How a module is: the tone of its mark, and the word beside it.
function moduleState(module) {
  if (module.phase === "dead") return ["bad", "dead"];
  if (module.stalled !== null) return ["bad", "stalled"];
  if (module.phase === "backoff" || module.phase === "park") return ["warn", module.phase];
  if (module.consecutive_failures > 0) return ["warn", "failing"];
  if (module.phase === "run") return ["well", "run"];
  return ["idle", module.phase];
}

const isTrouble = (tone) => tone === "warn" || tone === "bad";

const LABELS = [
  "State", "Blocks behind", "Events", "Events a second", "Latency p50 / p99", "Failed",
  "Restarts", "Dead letters", "Stored",
];

// One module: its history, and its rows once it is shown.
class Module {
  constructor(name) {
    this.name = name;
    [this.rates, this.latencies] = [new Line(), new Line()];
    this.body = null;
  }

  take(module, pace) {
    this.module = module;
    this.pace = pace;
    [this.tone, this.word] = moduleState(module);
    this.rates.add(pace.events_per_second, pace.events_per_second);
    this.latencies.add(pace.run_p99_us, pace.run_p50_us);
  }

  matches(wanted, onlyTrouble) {
    if (onlyTrouble && !isTrouble(this.tone)) return false;
    if (wanted === "") return true;
    const { stalled, last_error: error } = this.module;
    const texts = [this.name, this.word, stalled ?? "", error ?? ""];
    return texts.some((text) => text.toLowerCase().includes(wanted));
  }

  build() {
    const cell = (label) => element("td", { role: "cell", "data-label": label });
    const cells = LABELS.map(cell);
    const [state, lag, events, rates, latencies, failed, restarts, letters, stored] = cells;
    for (const number of [lag, events, failed, restarts]) number.className = "number";
    for (const number of [letters, stored]) number.className = "number wide";
    rates.className = "wide";
    latencies.className = "latency wide";
    this.state = element("span", { class: "state" });
    state.append(this.state);
    this.rate = element("span");
    rates.append(element("div", { class: "measure" }, this.rate, this.rates.svg));
    this.latency = element("span");
    latencies.append(element("div", { class: "measure" }, this.latency, this.latencies.svg));
    const text = (within) => {
      const made = element("span");
      within.append(made);
      return made;
    };
    [this.lag, this.events, this.failed] = [text(lag), text(events), text(failed)];
    [this.restarts, this.letters] = [text(restarts), text(letters)];
    this.bytes = element("span");
    this.fill = element("span");
    this.gauge = element("span", { class: "gauge", "aria-hidden": "true" }, this.fill);
    stored.append(element("span", {}, this.bytes, this.gauge));
    const heading = element("th", { role: "rowheader", scope: "row" }, this.name);
    this.why = element("p");
    this.whyRow = element(
      "tr",
      { role: "row", class: "why", hidden: "" },
      element("td", { role: "cell", colspan: String(LABELS.length + 1) }, this.why),
    );
    const row = element("tr", { role: "row" }, heading, ...cells);
    this.body = element("tbody", { role: "rowgroup" }, row, this.whyRow);
    this.body.dataset.module = this.name;
  }

  show() {
    if (this.body === null) this.build();
    const { module, pace } = this;
    const busy = module.busy_ms !== null && module.busy_ms >= 2000;
    const word = busy ? `${this.word}, busy for ${span(module.busy_ms)}` : this.word;
    state(this.state, this.tone, word);
    const several = module.lag.length > 1;
    const lag = module.lag.map(({ chain_id: chain, blocks }) =>
      several ? `${chain}: ${count(blocks)}` : count(blocks),
    );
    say(this.lag, lag.join("\n") || "–");
    this.lag.parentElement.classList.toggle("wide", several);
    say(this.events, count(module.delivered));
    say(this.rate, rate(pace.events_per_second));
    say(this.latency, `${latency(pace.run_p50_us)} / ${latency(pace.run_p99_us)}`);
    this.rates.draw();
    this.latencies.draw();
    say(this.failed, count(module.failed));
    say(this.restarts, count(module.restarts));
    say(this.letters, count(module.dead_letters));
    const { state_bytes: used, state_limit_bytes: limit } = module;
    say(this.bytes, used === null ? "–" : `${bytes(used)} of ${bytes(limit)}`);
    this.gauge.hidden = used === null;
    this.fill.style.width = `${Math.min(100, (100 * (used ?? 0)) / Math.max(1, limit))}%`;
    const why = module.stalled ?? module.last_error;
    this.whyRow.hidden = why === null;
    mark(this.whyRow, "data-tone", isTrouble(this.tone) ? this.tone : "idle");
    say(this.why, why === null ? "" : `${isTrouble(this.tone) ? "" : "Last error: "}${why}`);
  }
}

const modules = new Map();
let showsAll = false;

function takeModules(report) {
  const paces = new Map(report.paces.map((pace) => [pace.name, pace]));
  const unknown = { events_per_second: null, run_p50_us: null, run_p99_us: null };
  const names = new Set(report.modules.map((module) => module.name));
  for (const name of modules.keys()) {
    if (!names.has(name)) modules.delete(name);
  }
  for (const module of report.modules) {
    if (!modules.has(module.name)) modules.set(module.name, new Module(module.name));
    modules.get(module.name).take(module, paces.get(module.name) ?? unknown);
  }
}

// Those with trouble first, each group by name.
function showModules() {
  const wanted = by("filter").value.trim().toLowerCase();
  const onlyTrouble = by("only-trouble").checked;
  const rank = (module) => ({ bad: 0, warn: 1 })[module.tone] ?? 2;
  const found = [...modules.values()]
    .filter((module) => module.matches(wanted, onlyTrouble))
    .sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
  const shown = showsAll ? found : found.slice(0, ROWS);
  for (const module of shown) module.show();
  const table = by("modules");
  const bodies = shown.map((module) => module.body);
  const there = [...table.tBodies];
  const isSame = there.length === bodies.length && there.every((body, at) => body === bodies[at]);
  if (!isSame) {
    const focused = document.activeElement;
    table.replaceChildren(table.tHead, ...bodies);
    if (table.contains(focused)) focused.focus({ preventScroll: true });
  }
  const isFiltered = wanted !== "" || onlyTrouble;
  const total = plural(modules.size, "module", "modules");
  say(by("modules-count"), isFiltered ? `${count(found.length)} of ${total}` : total);
  by("modules").parentElement.hidden = shown.length === 0;
  by("no-modules").hidden = shown.length > 0;
  say(by("no-modules"), isFiltered ? "No module matches." : "There are no modules.");
  by("show-all").hidden = shown.length === found.length;
  say(by("show-all"), `Show all ${count(found.length)}, not only the first ${count(ROWS)}`);
}

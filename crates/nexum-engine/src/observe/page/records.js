// What has happened: dead letters, and the log.

// The lines that the page keeps, and the most that is shown of a field of one.
const LOG_LINES = 200;
const FIELD = 160;

let lettersShown = "";

function showLetters(report) {
  const total = report.modules.reduce((sum, module) => sum + module.dead_letters, 0);
  const { letters } = report;
  const more = total > letters.length ? `the newest ${count(letters.length)} of ${count(total)}` : "";
  say(by("letters-count"), more);
  by("letters-sheet").hidden = letters.length === 0;
  by("no-letters").hidden = letters.length > 0;
  // A letter seldom changes, and who reads an error should not lose the place.
  const key = JSON.stringify(letters);
  if (key === lettersShown) return;
  lettersShown = key;
  by("letters").tBodies[0].replaceChildren(...letters.map(letterRow));
}

function letterRow(letter) {
  const logs = plural(letter.logs, letter.removed ? "removed log" : "log", letter.removed ? "removed logs" : "logs");
  const what = letter.kind === "block" ? "block" : `${logs} of block`;
  const event = letter.kind === "tick"
    ? `tick of ${letter.schedule} at ${new Date(letter.fired_at_ms).toISOString()}`
    : `${what} ${count(letter.block)} of chain ${letter.chain_id}`;
  const retry = letter.retry ? ", to be given once more" : "";
  const cell = (label, text, kind) =>
    element("td", { role: "cell", "data-label": label, class: kind }, text);
  return element(
    "tr",
    { role: "row" },
    element("th", { role: "rowheader", scope: "row" }, letter.module),
    cell("Number", String(letter.id), "number"),
    cell("Event", event + retry, "brief"),
    cell("Attempts", count(letter.attempts), "number"),
    cell("Since", moment(letter.time_ms), "brief"),
    cell("Error", element("div", { class: "words" }, letter.error), "words"),
  );
}

let lastLine = 0;

function takeLines(lines) {
  const log = by("log");
  // Whoever has scrolled back is reading.
  const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  for (const line of lines) {
    // A connection begins with lines that may be here already.
    if (line.number <= lastLine) continue;
    if (lastLine > 0 && line.number > lastLine + 1) {
      const missed = plural(line.number - lastLine - 1, "line", "lines");
      log.append(element("li", { class: "gap" }, `${missed} not shown: they came too fast`));
    }
    lastLine = line.number;
    log.append(logLine(line));
  }
  while (log.children.length > LOG_LINES) log.firstElementChild.remove();
  showLog();
  if (follows) log.scrollTop = log.scrollHeight;
}

function logLine(line) {
  const tone = { ERROR: "bad", WARN: "warn", INFO: "well" }[line.level] ?? "idle";
  const said = element("span", { class: "said" });
  if (line.module !== undefined) said.append(element("span", { class: "of" }, line.module), " ");
  said.append(line.message);
  const fields = Object.entries(line.fields ?? {}).filter(([, value]) => value !== "");
  if (fields.length > 0) {
    const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
    // A backtrace is as long as all other lines together; `nexum module logs` has all of it.
    const cut = (words) => (words.length > FIELD ? `${words.slice(0, FIELD)}…` : words);
    const words = fields.map(([name, value]) => `${name}=${cut(text(value))}`).join(" ");
    said.append(" ", element("span", { class: "fields" }, words));
  }
  const made = new Date(line.time_ms);
  const exact = `${clock(made)}.${String(made.getMilliseconds()).padStart(3, "0")}`;
  const time = element("time", { datetime: made.toISOString() }, exact);
  const level = element("span", { "data-tone": tone }, line.level);
  return element("li", { "data-level": line.level }, time, level, said);
}

function showLog() {
  const onlyTrouble = by("log-level").value === "trouble";
  let shown = 0;
  for (const item of by("log").children) {
    const isTrouble = item.dataset.level === "WARN" || item.dataset.level === "ERROR";
    item.hidden = onlyTrouble && !isTrouble;
    if (!item.hidden) shown += 1;
  }
  say(by("log-count"), shown === 0 ? "" : `the last ${plural(shown, "line", "lines")}`);
  by("log").hidden = shown === 0;
  by("no-log").hidden = shown > 0;
  say(by("no-log"), "No line has been logged yet.");
}

function hideLog() {
  by("log").hidden = true;
  by("log-tools").hidden = true;
  by("no-log").hidden = false;
  say(
    by("no-log"),
    "The log is not shown at this address. `nexum module logs` shows it on the engine's machine; " +
      'status_page = "with-logs" under [observability] shows it here, to everybody who reaches this page.',
  );
}

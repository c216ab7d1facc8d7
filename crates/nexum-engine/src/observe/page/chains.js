// The chains, each with its endpoints.

const chains = new Map();

function endpointTone(word) {
  return { well: "well", lagging: "warn", "half-open": "warn" }[word] ?? "bad";
}

function buildChain(id) {
  const made = { endpoints: element("ul"), rows: [] };
  made.head = element("span", { class: "block" });
  made.age = element("span", { class: "made" });
  const head = element("div", { class: "chain-head" });
  head.append(element("h3", {}, `Chain ${id}`), made.head, made.age);
  made.card = element("article", { class: "chain", "data-chain": id }, head, made.endpoints);
  return made;
}

function buildEndpoint() {
  const made = { state: element("span", { class: "state" }), name: element("span") };
  made.used = element("span", { class: "tag" }, "in use");
  made.facts = element("div", { class: "facts" });
  const name = element("div", { class: "name" }, made.name, made.used);
  made.row = element("li", { class: "endpoint" }, element("div", {}, made.state), name, made.facts);
  return made;
}

function showChains(report) {
  const box = by("chains");
  const ids = new Set(report.chains.map((chain) => chain.chain_id));
  for (const [id, shown] of chains) {
    if (!ids.has(id)) {
      shown.card.remove();
      chains.delete(id);
    }
  }
  for (const chain of report.chains) {
    if (!chains.has(chain.chain_id)) {
      chains.set(chain.chain_id, buildChain(chain.chain_id));
      box.append(chains.get(chain.chain_id).card);
    }
    showChain(chains.get(chain.chain_id), chain, report.time_ms);
  }
  by("no-chains").hidden = report.chains.length > 0;
}

function showChain(shown, chain, now) {
  say(shown.head, chain.head === null ? "no head yet" : `block ${count(chain.head)}`);
  const made = chain.head_timestamp_ms;
  // By the engine's clock on both sides; some chains date their blocks ahead of it.
  say(shown.age, made === null ? "" : `made ${span(now - made)} ago`);
  chain.endpoints.forEach((endpoint, index) => {
    if (shown.rows.length <= index) {
      shown.rows.push(buildEndpoint());
      shown.endpoints.append(shown.rows[index].row);
    }
    const row = shown.rows[index];
    state(row.state, endpointTone(endpoint.state), endpoint.state);
    say(row.name, endpoint.endpoint);
    row.used.hidden = endpoint.endpoint !== chain.endpoint;
    const facts = [
      endpoint.head === null ? "no head told" : `head ${count(endpoint.head)}`,
      endpoint.lag > 0 ? `${plural(endpoint.lag, "block", "blocks")} behind` : null,
      plural(endpoint.requests, "request", "requests"),
      `${count(endpoint.failed)} failed`,
      endpoint.last_error === null ? null : `last error: ${endpoint.last_error}`,
    ];
    say(row.facts, facts.filter((fact) => fact !== null).join(" · "));
  });
  for (const surplus of shown.rows.splice(chain.endpoints.length)) surplus.row.remove();
}

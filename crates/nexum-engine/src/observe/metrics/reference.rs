//! The documentation of all metrics, made from their table.

use std::fmt::Write as _;

use super::table::{FAMILIES, Family};

/// The parts of the page: what the names of a part begin with, its heading, and what it tells.
/// The first that fits is taken.
const PARTS: [(&str, &str, &str); 4] = [
    (
        "nexum_module_",
        "Modules",
        "`module` is the name that the module runs under. What is counted begins anew with each \
         start of the engine; what a version uses up (memory, denials, log lines) also with an \
         upgrade. An unloaded module has no metrics any more.",
    ),
    (
        "nexum_chain_",
        "Chains",
        "`chain` is the id of the chain. Those of the head, of reorgs and of the past are there \
         once a module follows the chain.",
    ),
    (
        "nexum_endpoint_",
        "Endpoints",
        "`endpoint` is scheme, host and port, and never a secret part of the URL. Where a chain \
         has several endpoints of which that is the same, the second one ends in `#2`, and so on, \
         in the order of preference.",
    ),
    ("nexum_", "Engine", "The engine as a whole."),
];

const HEAD: &str = "\
# Metrics

The engine serves these at `/metrics` of the address that `metrics` under
[`[observability]`](nexum-engine-toml.md#observability) says, in the text format of Prometheus or in
OpenMetrics, as is asked for. [Monitoring](../operations/monitoring.md) says what to make of them.

No label has a value that a module could choose. This page is made from the table in
`crates/nexum-engine/src/observe/metrics/table.rs`: change it there.
";

/// `docs/reference/metrics.md`.
#[must_use]
pub fn metrics_reference() -> String {
    let mut page = HEAD.to_owned();
    for (index, (_, heading, told)) in PARTS.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {heading}\n\n{}\n\n", folded(told));
        page += "| name | kind | labels | |\n|---|---|---|---|\n";
        for family in FAMILIES {
            if part(family) == index {
                page += &row(family);
            }
        }
    }
    page
}

fn part(family: &Family) -> usize {
    let found = PARTS
        .iter()
        .position(|(prefix, ..)| family.name.starts_with(prefix));
    found.unwrap_or(PARTS.len() - 1)
}

fn row(family: &Family) -> String {
    let labels: Vec<_> = family
        .labels
        .iter()
        .map(|label| format!("`{label}`"))
        .collect();
    let (name, kind, labels) = (family.name, family.kind.as_str(), labels.join(", "));
    format!("| `{name}` | {kind} | {labels} | {}. |\n", family.help)
}

/// In lines of no more than a hundred characters.
fn folded(text: &str) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        if length > 0 && length + 1 + word.len() > 100 {
            lines.push('\n');
            length = 0;
        } else if length > 0 {
            lines.push(' ');
            length += 1;
        }
        lines += word;
        length += word.len();
    }
    lines
}

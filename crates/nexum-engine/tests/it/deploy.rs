//! The dashboard and the alert rules of `deploy/`, held against the metrics there are: no
//! expression asks for a metric or a label that the table does not have, and no alert is without a
//! runbook and a test.

use std::{collections::BTreeSet, fs};

use saphyr::{LoadableYamlNode as _, Yaml};
use serde_json::Value;

use crate::{
    exposition::Scraped,
    metrics::{rows, until},
    promql::{Expression, Known},
    wallet::may_send,
    world::{Module, Via, World, server, workspace},
};

const RUNBOOKS: &str = "https://github.com/nexum/nexum/blob/main/docs/operations/monitoring.md#";

/// An expression, where it stands, and the labels that are shown with its result.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) place: String,
    pub(crate) expr: String,
    shown: Vec<String>,
}

struct Alert {
    name: String,
    labels: Value,
    annotations: Value,
    asked: Asked,
}

/// A file below `deploy/`.
fn deployed(path: &str) -> String {
    fs::read_to_string(workspace().join("deploy").join(path)).unwrap()
}

fn yaml(text: &str) -> Value {
    let documents = Yaml::load_from_str(text).unwrap();
    assert_eq!(documents.len(), 1);
    plain(&documents[0])
}

fn plain(node: &Yaml<'_>) -> Value {
    if let Some(list) = node.as_sequence() {
        return list.iter().map(plain).collect();
    }
    if let Some(mapping) = node.as_mapping() {
        let entry =
            |(key, value): (&Yaml<'_>, &Yaml<'_>)| (key.as_str().unwrap().to_owned(), plain(value));
        return Value::Object(mapping.iter().map(entry).collect());
    }
    if let Some(text) = node.as_str() {
        return text.into();
    }
    if let Some(number) = node.as_integer() {
        return number.into();
    }
    panic!("not expected in these files: {node:?}")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    let found = value[key].as_str();
    found.unwrap_or_else(|| panic!("no {key} in {value:#}"))
}

/// What stands between `open` and `close`, each time.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open)
        .skip(1)
        .filter_map(move |rest| Some(rest.split_once(close)?.0))
}

fn alerts() -> Vec<Alert> {
    let file = yaml(&deployed("prometheus/alerts.yml"));
    let rules = list(&file, "groups").iter().flat_map(|g| list(g, "rules"));
    let alert = |rule: &Value| {
        let name = text(rule, "alert").to_owned();
        let annotations = rule["annotations"].clone();
        let words = annotations.as_object().unwrap().values();
        let words: Vec<_> = words.filter_map(Value::as_str).collect();
        let words = words.join("\n");
        let shown = between(&words, "$labels.", " ").map(|label| label.trim_end_matches("}}"));
        Alert {
            asked: Asked {
                place: name.clone(),
                expr: text(rule, "expr").to_owned(),
                shown: shown.map(str::to_owned).collect(),
            },
            labels: rule["labels"].clone(),
            annotations,
            name,
        }
    };
    rules.map(alert).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&deployed("grafana/nexum.json")).unwrap()
}

/// Every expression of the dashboard, the variables replaced by what could be in their place.
pub(crate) fn asked_by_the_dashboard() -> Vec<Asked> {
    let board = dashboard();
    let mut asked = Vec::new();
    for panel in list(&board, "panels") {
        for target in list(panel, "targets") {
            let legend = text(target, "legendFormat");
            asked.push(Asked {
                place: text(panel, "title").to_owned(),
                expr: text(target, "expr").replace("$__rate_interval", "5m"),
                shown: between(legend, "{{", "}}").map(str::to_owned).collect(),
            });
        }
    }
    for annotation in list(&board["annotations"], "list") {
        let title = text(annotation, "titleFormat");
        asked.push(Asked {
            place: text(annotation, "name").to_owned(),
            expr: text(annotation, "expr").to_owned(),
            shown: between(title, "{{", "}}").map(str::to_owned).collect(),
        });
    }
    for variable in list(&board["templating"], "list") {
        if text(variable, "type") != "query" {
            continue;
        }
        let query = text(variable, "definition");
        assert_eq!(query, text(&variable["query"], "query"));
        let inner = query.strip_prefix("label_values(").unwrap();
        let (expr, label) = inner.strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
        asked.push(Asked {
            place: text(variable, "name").to_owned(),
            expr: expr.to_owned(),
            shown: vec![label.to_owned()],
        });
    }
    asked
}

fn asked() -> Vec<Asked> {
    let mut asked = asked_by_the_dashboard();
    asked.extend(alerts().into_iter().map(|alert| alert.asked));
    assert!(asked.len() > 60, "{asked:#?}");
    asked
}

#[test]
fn every_expression_asks_for_what_there_is() {
    let known = Known::of(rows());
    let problems: Vec<_> = asked()
        .iter()
        .flat_map(|asked| {
            let problems = known.problems(&asked.expr, &asked.shown);
            let told = |problem| format!("{}: {problem}", asked.place);
            problems.into_iter().map(told).collect::<Vec<_>>()
        })
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn an_expression_that_asks_for_what_there_is_not_is_found() {
    let known = Known::of(rows());
    let of = |expr: &str, shown: &[&str]| {
        let shown: Vec<_> = shown.iter().map(|label| (*label).to_owned()).collect();
        known.problems(expr, &shown)
    };
    let right = "sum by (module) (rate(nexum_module_events_total{job=\"$job\"}[5m]))";
    assert_eq!(of(right, &["module"]), [""; 0]);
    for (expr, shown, told) in [
        ("nexum_module_stat", "module", "no metric nexum_module_stat"),
        (
            "1 > nexum_modules and on (job) (nexum_ready)",
            "job",
            "no metric nexum_ready",
        ),
        (
            "nexum_module_state{phase=\"dead\"}",
            "module",
            "nexum_module_state has no label phase",
        ),
        (
            "max by (kind) (nexum_module_state)",
            "kind",
            "nothing here has a label kind",
        ),
        (
            "sum by (state) (nexum_module_state)",
            "module",
            "the result has no label module",
        ),
        (
            "sum without (module) (nexum_module_state)",
            "module",
            "the result has no label module",
        ),
        (
            "rate(nexum_module_lag_blocks[5m])",
            "module",
            "nexum_module_lag_blocks is a Gauge",
        ),
        (
            "delta(nexum_module_events_total[5m])",
            "module",
            "nexum_module_events_total is a Counter",
        ),
        (
            "nexum_module_run_seconds",
            "job",
            "no metric nexum_module_run_seconds",
        ),
        (
            "nexum_module_run_seconds_sum{le=\"1.0\"}",
            "job",
            "nexum_module_run_seconds_sum has no label le",
        ),
    ] {
        let problems = of(expr, &[shown]);
        assert!(
            problems.iter().any(|problem| problem.starts_with(told)),
            "{expr}: {problems:?}"
        );
    }
}

/// The values of labels that the expressions name: metric, label, values.
fn named_values() -> BTreeSet<(String, String, Vec<String>)> {
    let mut named = BTreeSet::new();
    for asked in asked() {
        for selector in Expression::read(&asked.expr).unwrap().selectors {
            let is_ours = selector.metric.starts_with("nexum_");
            let matchers = selector.matchers.into_iter().filter(|_| is_ours);
            for matcher in matchers.filter(|matcher| !matcher.value.contains('$')) {
                let values = matcher.value.split('|').map(str::to_owned);
                named.insert((selector.metric.clone(), matcher.label, values.collect()));
            }
        }
    }
    named
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_of_a_label_that_is_asked_for_is_told_by_an_engine() {
    let server = server(5).await;
    let world = World::over(&server, Via::Ws)
        .observed()
        .module(Module::fixture("counter"));
    let engine = may_send(world, "counter").start().await;
    engine.delivered("counter", 5).await;
    let has_head = |scraped: &Scraped| {
        let has = scraped.kinds.contains_key("nexum_chain_head_block");
        has.then_some(())
    };
    let (scraped, ()) = until(engine.metrics(), "the head is known", has_head).await;
    engine.stop().await;

    let named = named_values();
    assert!(named.len() > 5, "{named:?}");
    for (metric, label, values) in named {
        let told = scraped.values_within(&metric, &label);
        let is_told = |value: &String| told.contains(value.as_str());
        let are_told = match label.as_str() {
            // A bound is written as 13 in the text format of Prometheus, as 13.0 in OpenMetrics.
            "le" => values.iter().any(is_told),
            _ => values.iter().all(is_told),
        };
        assert!(are_told, "{metric} {label} {values:?}: {told:?}");
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    let runbook = fs::read_to_string(workspace().join("docs/operations/monitoring.md")).unwrap();
    let alerts = alerts();
    let names: BTreeSet<_> = alerts.iter().map(|alert| &alert.name).collect();
    assert_eq!(names.len(), alerts.len(), "each name once");
    for alert in &alerts {
        let name = &alert.name;
        assert!(name.starts_with("Nexum"), "{name}");
        let severity = text(&alert.labels, "severity");
        assert!(["critical", "warning"].contains(&severity), "{name}");
        for key in ["summary", "description"] {
            assert!(!text(&alert.annotations, key).is_empty(), "{name}");
        }
        let link = format!("{RUNBOOKS}{}", name.to_lowercase());
        assert_eq!(text(&alert.annotations, "runbook_url"), link);
        let heading = format!("\n#### {name}\n");
        assert!(runbook.contains(&heading), "no runbook of {name}");
    }
    let headings = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("#### "));
    for heading in headings {
        assert!(names.contains(&heading.to_owned()), "no alert {heading}");
    }
}

#[test]
fn every_alert_has_a_test_in_which_it_fires() {
    let tests = yaml(&deployed("prometheus/alerts.test.yml"));
    let mut firing = BTreeSet::new();
    for test in list(&tests, "tests") {
        for case in list(test, "promql_expr_test") {
            for sample in list(case, "exp_samples") {
                let labels = Expression::read(text(sample, "labels")).unwrap();
                let matchers = labels.selectors[0].matchers.iter();
                let name = matchers
                    .filter(|matcher| matcher.label == "alertname")
                    .map(|matcher| matcher.value.clone());
                firing.extend(name);
            }
        }
    }
    let names: BTreeSet<_> = alerts().into_iter().map(|alert| alert.name).collect();
    assert_eq!(firing, names);
}

#[test]
fn the_job_that_the_rules_ask_for_is_scraped_where_the_engine_serves() {
    let config = yaml(&deployed("prometheus/prometheus.yml"));
    let [job] = list(&config, "scrape_configs") else {
        panic!("one job");
    };
    let asked = alerts().into_iter().map(|alert| alert.asked.expr);
    let jobs: BTreeSet<_> = asked
        .flat_map(|expr| Expression::read(&expr).unwrap().selectors)
        .flat_map(|selector| selector.matchers)
        .filter(|matcher| matcher.label == "job")
        .map(|matcher| matcher.value)
        .collect();
    assert_eq!(jobs, [text(job, "job_name").to_owned()].into());
    // The default of `metrics` under [observability].
    assert_eq!(job["static_configs"][0]["targets"][0], "127.0.0.1:9090");
    assert_eq!(config["rule_files"][0], "alerts.yml");
}

#[test]
fn the_dashboard_is_for_any_prometheus_and_no_panel_is_there_twice() {
    let board = dashboard();
    let mut ids = BTreeSet::new();
    let mut places = BTreeSet::new();
    for panel in list(&board, "panels") {
        let title = text(panel, "title");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let at = &panel["gridPos"];
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| at[key].as_u64().unwrap());
        assert!(x + w <= 24, "{title} is wider than the page");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(places.insert(cell), "{title} lies over another panel");
        }
        if text(panel, "type") != "row" {
            assert!(!text(panel, "description").is_empty(), "{title}");
        }
    }
    let sources = sources(&board);
    assert_eq!(sources, ["${datasource}".to_owned()].into());
    let variables = list(&board["templating"], "list");
    let variables: BTreeSet<_> = variables.iter().map(|v| text(v, "name")).collect();
    for asked in asked_by_the_dashboard() {
        for used in between(&asked.expr, "\"$", "\"") {
            assert!(variables.contains(used), "{}: ${used}", asked.place);
        }
    }
    assert!(variables.contains("datasource"));
}

/// The ids of all data sources that are named.
fn sources(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                if key == "datasource" {
                    found.insert(text(value, "uid").to_owned());
                } else {
                    found.extend(sources(value));
                }
            }
        }
        Value::Array(items) => found.extend(items.iter().flat_map(sources)),
        _ => {}
    }
    found
}

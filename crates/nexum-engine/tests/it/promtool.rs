//! The rules of `deploy/prometheus`, as Prometheus's own tool reads and tries them.

use std::{env, fs, path::Path, process::Command};

use crate::{deploy::asked_by_the_dashboard, world::workspace};

/// Runs promtool in a folder, and holds that it is content.
#[track_caller]
fn promtool(folder: &Path, args: &[&str]) {
    let program = env::var_os("NEXUM_PROMTOOL").expect(
        "promtool is needed: run the tests with `cargo xtask test`, which fetches it, or name it \
         in NEXUM_PROMTOOL",
    );
    let output = Command::new(&program)
        .args(args)
        .current_dir(folder)
        .output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    assert!(
        output.status.success(),
        "promtool {args:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn promtool_takes_the_rules_and_the_configuration() {
    let folder = workspace().join("deploy/prometheus");
    promtool(&folder, &["check", "rules", "alerts.yml"]);
    promtool(&folder, &["check", "config", "prometheus.yml"]);
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    let folder = workspace().join("deploy/prometheus");
    promtool(&folder, &["test", "rules", "alerts.test.yml"]);
}

/// promtool has no command for an expression alone, so each becomes a rule.
#[test]
fn promtool_takes_every_expression_of_the_dashboard() {
    let expressions = asked_by_the_dashboard().into_iter();
    let rule =
        |(index, expr)| serde_json::json!({"record": format!("panel_{index}"), "expr": expr});
    let rules: Vec<_> = expressions
        .map(|asked| asked.expr)
        .enumerate()
        .map(rule)
        .collect();
    let rules = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let folder = tempfile::tempdir().unwrap();
    // JSON is YAML.
    fs::write(folder.path().join("panels.yml"), rules.to_string()).unwrap();
    promtool(folder.path(), &["check", "rules", "panels.yml"]);
}

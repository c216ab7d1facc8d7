//! What the operator keeps secret is used, and never shown.

use std::{error::Error, fmt::Write};

use miette::{Diagnostic, JSONReportHandler, NarratableReportHandler};

use crate::check::{ENGINE, Folder, check_engine};

/// Stands wherever the tests have a secret, in files and in the environment.
const SECRET: &str = "hunter2";

/// Everything that can be printed about a bad engine file.
fn shown(text: &str) -> String {
    let folder = Folder::with(&[("nexum-engine.toml", text), ("secret", SECRET)]);
    let errors = folder.engine().expect_err("the file has a problem");
    let mut shown = format!("{errors}\n{errors:?}\n");
    for problem in errors.problems() {
        writeln!(
            shown,
            "{problem:?}\n{}",
            serde_json::to_string(problem).unwrap()
        )
        .unwrap();
        assert!(
            problem.source().is_none(),
            "a source would have to be looked at here"
        );
    }
    let diagnostic: &dyn Diagnostic = &errors;
    NarratableReportHandler::new()
        .with_context_lines(50)
        .render_report(&mut shown, diagnostic)
        .unwrap();
    JSONReportHandler::new()
        .render_report(&mut shown, diagnostic)
        .unwrap();
    shown
}

#[test]
fn a_url_that_is_bad_is_told_without_itself() {
    check_engine(
        &format!(
            "{ENGINE}[chains.1]
endpoints = [
  {{ url = \"ftp://user:hunter2@host/hunter2\" }},
  {{ url = \"host.example/hunter2\" }},
  {{ url = \"user:hunter2@host\" }},
  {{ url = \"https://\" }},
  {{ url = {{ env = \"BAD_URL\" }} }},
  {{ url = {{ env = \"EMPTY\" }} }},
  {{ url = {{ env = \"UNSET\" }} }},
  {{ url = {{ file = \"gone\" }} }},
]
"
        ),
        "
nexum-engine.toml:5:11: `chains.1.endpoints.url`: the value is a URL of a scheme that no endpoint has
  help: write it as in https://host:port/path; the schemes are http, https, ws and wss
nexum-engine.toml:6:11: `chains.1.endpoints.url`: the value is not a URL: relative URL without a base
  help: write it as in https://host:port/path; the schemes are http, https, ws and wss
nexum-engine.toml:7:11: `chains.1.endpoints.url`: the value is a URL of a scheme that no endpoint has
  help: write it as in https://host:port/path; the schemes are http, https, ws and wss
nexum-engine.toml:8:11: `chains.1.endpoints.url`: the value is not a URL: empty host
  help: write it as in https://host:port/path; the schemes are http, https, ws and wss
nexum-engine.toml:9:11: `chains.1.endpoints.url`: the value of the environment variable `BAD_URL` is not a URL: relative URL without a base
  help: write it as in https://host:port/path; the schemes are http, https, ws and wss
nexum-engine.toml:10:11: `chains.1.endpoints.url`: the value of the environment variable `EMPTY` is empty
  help: write the value into it
nexum-engine.toml:11:11: `chains.1.endpoints.url`: the environment variable `UNSET` is not set
  help: set it for the process that runs the engine: UNSET=…
nexum-engine.toml:12:11: `chains.1.endpoints.url`: the secret's file gone is of no use: the file does not exist
  help: write the value, and nothing else, into that file
",
    );
}

#[test]
fn a_reference_to_a_secret_has_one_form() {
    check_engine(
        &format!(
            "{ENGINE}[chains.1]
endpoints = [
  {{ url = 5 }},
  {{ url = {{}} }},
  {{ url = {{ env = \"A\", file = \"b\" }} }},
  {{ url = {{ envv = \"A\" }} }},
  {{ url = {{ env = 1 }} }},
  {{ url = {{ env = \"https://host/hunter2\" }} }},
  {{ url = {{ file = \"https://host/hunter2\" }} }},
]
"
        ),
        "
nexum-engine.toml:5:11: `chains.1.endpoints.url` takes a string, { env = \"NAME\" } or { file = \"path\" }, not an integer
  help: An http, https, ws or wss URL: the text itself, { env = \"NAME\" } or { file = \"path\" }
nexum-engine.toml:6:11: `chains.1.endpoints.url` has neither of `env` and `file`
  help: write { env = \"NAME\" } or { file = \"path\" }
nexum-engine.toml:7:11: `chains.1.endpoints.url` has both of `env` and `file`
  help: write { env = \"NAME\" } or { file = \"path\" }
nexum-engine.toml:8:13: unknown key `envv` in `chains.1.endpoints.url`
  help: did you mean `env`?
nexum-engine.toml:9:19: `chains.1.endpoints.url.env` takes a string, not an integer
nexum-engine.toml:10:19: `chains.1.endpoints.url.env` is not the name of an environment variable
  help: a name is letters, digits and '_', and begins with no digit; the value itself stands without `env`
nexum-engine.toml:11:20: `chains.1.endpoints.url.file` is not a path
  help: the value itself stands without `file`
",
    );
}

#[test]
fn no_report_shows_a_secret_wherever_it_stands() {
    let bad: &[&str] = &[
        // Beside the problem, before it, after it.
        "endpoints = [{ url = \"https://u:hunter2@h/hunter2?k=hunter2\", colour = 1 }]",
        "colour = 1\nendpoints = [{ url = \"https://h/hunter2#hunter2\" }]",
        "# old: https://h/hunter2\ncolour = 1 # hunter2\nendpoints = []",
        "endpoints = [{ url = '''\nhttps://h/hunter2\nhunter2''', colour = 1 }]",
        // In the wrong place.
        "endpoints = [{ ulr = \"https://h/hunter2\" }]",
        "endpoints = [{ url = [\"https://h/hunter2\"] }]",
        "endpoints = [{ url = { enw = \"hunter2\" } }]",
        "endpoints = [{ url = { env = \"h/hunter2\" } }]",
        "endpoints = [{ \"https://h/hunter2\" = 1 }]",
        "endpoints = \"https://h/hunter2\"",
        "endpoints = [\"https://h/hunter2\"]",
        "endpoint = \"https://h/hunter2\"",
        "rpc = { a = { b = \"hunter2\" } }\nendpoints = []",
        "\"https://h/hunter2\" = { url = \"hunter2\" }",
        // Elsewhere.
        "endpoints = [{ url = { env = \"BAD_URL\" } }]",
        "endpoints = [{ url = { file = \"secret\" } }]",
        // In what is no TOML.
        "endpoints = [{ url = \"https://h/hunter2 }]",
        "endpoints = [{ url = https://u:hunter2@h/hunter2 }]",
        "url = \"\"\"\nhttps://h/\nhunter2=hunter2\n",
        "url = \"\\qhunter2\"",
        "url = \"hunter2\"\nurl = \"hunter2\"",
        "[chains.1\nurl = \"hunter2\"",
        "hunter2 = = \"hunter2\"",
    ];
    for text in bad {
        let shown = shown(&format!("{ENGINE}[chains.1]\n{text}\n"));
        assert!(!shown.contains(SECRET), "{text}\n\nis shown in\n{shown}");
    }
    let top = shown("[engine]\nstate_dir = 1\n[chains.\"https://h/hunter2\"]\nurl = \"hunter2\"\n");
    assert!(!top.contains(SECRET), "{top}");
}

#[test]
fn an_excerpt_keeps_what_is_public() {
    let shown = shown(&format!(
        "{ENGINE}[chains.1]
poll_interval = \"soon\" # ask hunter2
colour = \"hunter2\"
[[chains.1.endpoints]]
url = \"https://h/hunter2\"
"
    ));
    for line in [
        "state_dir = \"state\"",
        "[chains.1]",
        "poll_interval = \"soon\" # *** *******",
        "colour = \"*******\"",
        "[[chains.1.endpoints]]",
        "url = \"*****************\"",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
}

#[test]
fn resolved_values_do_not_show_their_urls() {
    let text = format!(
        "{ENGINE}[chains.1]\n[[chains.1.endpoints]]\nurl = {{ env = \"RPC_URL\" }}\n[[chains.1.endpoints]]\nurl = {{ file = \"secret\" }}\n"
    );
    let folder = Folder::with(&[
        ("nexum-engine.toml", &text),
        ("secret", "http://h:1/hunter2\n"),
    ]);
    let setup = folder.setup().unwrap();
    let debug = format!("{setup:#?}");
    assert!(
        debug.contains("https://rpc.example") && debug.contains("http://h:1"),
        "{debug}"
    );
    assert!(!debug.contains(SECRET), "{debug}");
}

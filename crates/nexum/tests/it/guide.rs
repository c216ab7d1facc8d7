//! A guide whose commands are run: all of them in their order, in one shell, each held against
//! what the guide says that it prints.

use std::{
    fmt::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::engine::free_port;

/// The commands of a guide.
pub(crate) struct Guide {
    steps: Vec<Step>,
    /// What the shell is told before the first command.
    prelude: String,
    /// Whether a command is run once more when it has done what it is to do.
    again: fn(&str) -> bool,
}

/// One command, and what it is said to print.
struct Step {
    command: String,
    output: Vec<String>,
}

/// How long the commands took that were run once more.
pub(crate) struct Played {
    pub(crate) again: Duration,
}

impl Guide {
    /// The guide in this document of the repository, on ports of its own where it names `ports`:
    /// another test may have those.
    pub(crate) fn read(document: &str, ports: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .unwrap();
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        Self {
            steps: steps(&on_own_ports(&text, ports)),
            prelude: String::new(),
            again: |_| false,
        }
    }

    /// How many commands there are.
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(crate) fn prelude(self, prelude: String) -> Self {
        Self { prelude, ..self }
    }

    /// Runs these once more and times that.
    pub(crate) fn again(self, again: fn(&str) -> bool) -> Self {
        Self { again, ..self }
    }

    fn script(&self) -> String {
        let mut script = String::from("set -m\nexec 2>&1\ntrap 'kill $(jobs -p)' EXIT TERM\n");
        writeln!(script, "{}", self.prelude).unwrap();
        for (index, Step { command, .. }) in self.steps.iter().enumerate() {
            writeln!(script, "{command}\necho \"@@ {index} $?\"").unwrap();
            if (self.again)(command) {
                writeln!(
                    script,
                    "began=$EPOCHREALTIME\n{command} > /dev/null 2>&1 || echo failed\n\
                     echo \"@again $(( ${{EPOCHREALTIME/./}} - ${{began/./}} ))\""
                )
                .unwrap();
            }
        }
        script
    }

    /// Runs every command in `folder` with these variables. One that ends with another code than 0,
    /// prints anything else or never ends fails the test.
    pub(crate) fn play(&self, folder: &Path, variables: &[(&str, &Path)]) -> Played {
        // What is waited for and never comes ends the shell, which takes its engine with it.
        let output = Command::new("timeout")
            .args(["--foreground", "1800", "bash", "-c", &self.script()])
            .current_dir(folder)
            .envs(variables.iter().copied())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();

        let mut rest = printed.as_str();
        let mut again = Duration::ZERO;
        for (index, step) in self.steps.iter().enumerate() {
            let command = &step.command;
            let mark = format!("@@ {index} ");
            let (said, after) = rest
                .split_once(&mark)
                .unwrap_or_else(|| panic!("it did not come to {command:?}:\n{printed}"));
            let (code, after) = after.split_once('\n').unwrap();
            rest = after;
            assert_eq!(code, "0", "{command}\n{said}");
            step.holds(said);
            if (self.again)(command) {
                let (took, after) = rest.split_once('\n').unwrap();
                let took = took.strip_prefix("@again ");
                let took = took.unwrap_or_else(|| panic!("{command} fails the second time"));
                again += Duration::from_micros(took.parse().unwrap());
                rest = after;
            }
        }
        Played { again }
    }
}

impl Step {
    /// It has printed what it is said to.
    fn holds(&self, said: &str) {
        let command = &self.command;
        // What the shell itself says of its jobs is not said here.
        let lines = said.lines().filter(|line| !line.starts_with('['));
        let lines: Vec<_> = lines.map(str::trim_end).collect();
        let mut at = 0;
        let mut skips = false;
        for expected in &self.output {
            if expected == "…" {
                skips = true;
                continue;
            }
            if skips {
                let found = lines[at..]
                    .iter()
                    .position(|line| is_as_said(expected, line));
                at +=
                    found.unwrap_or_else(|| panic!("{command}\n{expected}\nis not among\n{said}"));
            }
            let line = lines.get(at).copied().unwrap_or("(nothing)");
            assert!(is_as_said(expected, line), "{command}\n{expected}\n{said}");
            (at, skips) = (at + 1, false);
        }
        assert!(skips || at >= lines.len(), "{command} prints more:\n{said}");
    }
}

/// The commands of a document: in its `console` blocks, what follows `$ `, with the lines of a
/// here-document, and the output after it.
fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut is_console, mut in_here_document) = (false, false);
    for line in document.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            is_console = kind == "console";
        } else if !is_console {
        } else if in_here_document {
            let step = steps.last_mut().unwrap();
            write!(step.command, "\n{line}").unwrap();
            in_here_document = line != "END";
        } else if let Some(command) = line.strip_prefix("$ ") {
            in_here_document = command.ends_with("<<'END'");
            steps.push(Step {
                command: command.to_owned(),
                output: Vec::new(),
            });
        } else {
            steps.last_mut().unwrap().output.push(line.to_owned());
        }
    }
    steps
}

/// Whether a line is as it was said, `…` standing for anything.
fn is_as_said(said: &str, line: &str) -> bool {
    let mut parts = said.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or("")) else {
        return false;
    };
    let mut is_exact = true;
    for part in parts {
        let Some(at) = rest.rfind(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        is_exact = false;
    }
    rest.is_empty() || (!is_exact && said.ends_with('…'))
}

/// The text with another port in the place of each, wherever it is named.
fn on_own_ports(text: &str, ports: &[&str]) -> String {
    let own: Vec<_> = ports
        .iter()
        .map(|port| (*port, free_port().to_string()))
        .collect();
    let mut moved = String::new();
    let mut rest = text;
    // In one pass: a port may stand within one that was just put there.
    let next = |rest: &str| {
        let found = own
            .iter()
            .filter_map(|(port, own)| Some((rest.find(port)?, *port, own)));
        found.min()
    };
    while let Some((at, port, own)) = next(rest) {
        moved += &rest[..at];
        moved += own;
        rest = &rest[at + port.len()..];
    }
    moved + rest
}

//! Watching: a save brings another run, and Ctrl-C is how it ends.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::package::{Package, cargo_nexum};

/// Generous: machines are slow, and cargo builds.
const DEADLINE: Duration = Duration::from_secs(300);

/// A run that goes on, and the lines that it prints.
struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(package: &Package, arguments: &[&str]) -> Self {
        let mut child = cargo_nexum(package.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for a line that contains this.
    fn says(&self, part: &str) {
        let mut seen = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(DEADLINE) {
            if line.contains(part) {
                return;
            }
            seen.push(line);
        }
        panic!("not in time: {part}; there was {seen:#?}");
    }

    /// As Ctrl-C on a terminal.
    fn interrupted(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).unwrap();
        self.child.wait().unwrap()
    }
}

#[test]
fn a_save_of_code_or_fixture_brings_another_run() {
    let package = Package::of_fixture("tally", "watched-tally");
    package.write(
        "fixtures/story.nexum",
        "chain 31337\nmine\nexpect {\nevents 1\n}\n",
    );
    let run = Running::start(&package, &["run", "--mock", "--watch"]);
    run.says("1 events handled, 0 calls failed, 0 requests, 1 expectations met");
    run.says("waiting for a change");
    package.write(
        "fixtures/story.nexum",
        "chain 31337\nmine 7\nexpect {\nevents 7\nstate renamed absent\n}\n",
    );
    run.says("7 events handled, 0 calls failed, 0 requests, 2 expectations met");
    run.says("waiting for a change");
    let source = package.read("src/lib.rs");
    let renamed = source.replace("\"count\"", "\"renamed\"");
    package.write("src/lib.rs", &renamed);
    // None but the new code does not meet that.
    run.says("7 events handled, 0 calls failed, 0 requests, 1 expectations met, 1 not");
    run.says("waiting for a change");
    assert_eq!(run.interrupted().code(), Some(0));
}

#[test]
fn a_run_that_is_interrupted_says_so_by_its_code() {
    let package = Package::of_fixture("tally", "interrupted-tally");
    package.write("fixtures/story.nexum", "chain 31337\nmine\nwait 1h\n");
    let run = Running::start(&package, &["run", "--mock"]);
    run.says("wait 1h");
    assert_eq!(run.interrupted().code(), Some(130));
}

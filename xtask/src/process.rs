//! Starting other programs, and ending them.

use std::{
    env,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use crate::Failure;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// Where cargo builds to.
pub(crate) fn target_dir() -> PathBuf {
    let configured = env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty());
    root().join(configured.unwrap_or_else(|| "target".into()))
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a program to its end, showing what it prints.
pub(crate) fn execute(command: &mut Command) -> Result<(), Failure> {
    eprintln!("$ {}", shown(command));
    let status = command
        .status()
        .map_err(|error| format!("{} could not be started: {error}", shown(command)))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} failed ({status})", shown(command)))
    }
}

/// A program that is ended when this is dropped, by its own process id. It has a process group of
/// its own: Ctrl-C reaches it only through [`Running::interrupt`], and so once.
pub(crate) struct Running {
    child: Child,
    name: &'static str,
}

impl Running {
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Self, Failure> {
        let child = command
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{} could not be started: {error}", shown(command)))?;
        Ok(Self { child, name })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// True while it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end with SIGINT, and waits until it has.
    pub(crate) fn interrupt(mut self) -> Result<(), Failure> {
        let name = self.name;
        let failed =
            |error: &dyn std::fmt::Display| format!("{name} could not be stopped: {error}");
        if self.is_running() {
            rustix::process::kill_process(
                rustix::process::Pid::from_child(&self.child),
                rustix::process::Signal::INT,
            )
            .map_err(|error| failed(&error))?;
        }
        let status = self.child.wait().map_err(|error| failed(&error))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{name} ended with {status}"))
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

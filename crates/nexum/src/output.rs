//! Where results and complaints go: standard output and standard error. Whoever reads them may
//! go away at any time, which is no failure of the command.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::exit::Failure;

/// Prints a result.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_on(text).map(drop)
}

/// Prints a part of a result that goes on. False where whoever reads has seen enough.
pub(crate) fn print_on(text: &str) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::other("the output could not be written", error)),
    }
}

/// Prints a result as one JSON object on one line.
pub(crate) fn print_json(object: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(object)
        .map_err(|error| Failure::other("the output could not be made", error))?;
    print(&(text + "\n"))
}

/// Prints what went wrong. Where nobody can be told, the exit code still tells.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

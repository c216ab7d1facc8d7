//! Where results and complaints go, and in which colours. Whoever reads them may go away at any
//! time, which is no failure of the command.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    sync::OnceLock,
};

use serde::Serialize;

use crate::exit::Failure;

/// Prints a result, or a part of one that goes on.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
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

/// How a piece of text is shown on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Good,
    Bad,
    Warning,
    Faint,
    Strong,
}

/// The text in its style, where standard output is a terminal that wants colours.
pub(crate) fn styled(style: Style, text: &str) -> String {
    static COLOURS: OnceLock<bool> = OnceLock::new();
    let wanted = COLOURS.get_or_init(|| {
        io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    });
    if !wanted {
        return text.to_owned();
    }
    let code = match style {
        Style::Good => "32",
        Style::Bad => "31",
        Style::Warning => "33",
        Style::Faint => "2",
        Style::Strong => "1",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

//! How `nexum` ends: the one table of exit codes, and the failures that lead to them.

use std::{
    error::Error,
    fmt::{self, Write as _},
    io::{self, IsTerminal as _},
    path::Path,
    process::ExitCode,
};

use miette::MietteHandlerOpts;
use nexum_engine::{
    StartError,
    wire::{Fault, FaultKind},
};
use nexum_manifest::ManifestErrors;
use nexum_store::StoreError;

use crate::output;

/// The exit codes. `docs/reference/exit-codes.md` and `nexum --help` are made from
/// [`Code::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Success,
    Failure,
    Usage,
    Refused,
    State,
    NoEngine,
    Denied,
    Interrupted,
}

impl Code {
    pub(crate) const ALL: [Self; 8] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::Refused,
        Self::State,
        Self::NoEngine,
        Self::Denied,
        Self::Interrupted,
    ];

    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::State => 4,
            Self::NoEngine => 5,
            Self::Denied => 6,
            Self::Interrupted => 130,
        }
    }

    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done; for `run`: stopped as asked, everything committed",
            Self::Failure => "a failure that none of the other codes names",
            Self::Usage => "the command line is wrong, or `--yes` is missing; nothing was done",
            Self::Refused => {
                "a file, a component or an endpoint is refused; no module of it has run"
            }
            Self::State => "the state directory or a module's state cannot be used",
            Self::NoEngine => "no engine runs on the state directory",
            Self::Denied => {
                "the running engine did not do it: there is no such module, it is busy, or something has to be accepted first"
            }
            Self::Interrupted => "a second signal ended it at once; what was committed stays",
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        code.number().into()
    }
}

/// The exit codes as text, for `--help`.
pub(crate) fn table() -> String {
    let mut text = String::from("Exit codes:\n");
    for code in Code::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:>3}  {}", code.number(), code.meaning());
    }
    text
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Files, components or endpoints are refused, each at its place.
    Refused(ManifestErrors),
    /// Said already, in the form that was asked for.
    AlreadyTold(Code),
    /// The running engine did not do it.
    Denied(Fault),
    /// Anything else.
    Plain(Code, Plain),
}

/// A failure without a place in a file.
#[derive(Debug)]
pub(crate) struct Plain {
    /// What was tried, where the error does not say it.
    what: Option<String>,
    error: Box<dyn Error + Send + Sync>,
    help: Option<String>,
}

impl Failure {
    pub(crate) fn other(what: &str, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let plain = Plain {
            what: Some(what.to_owned()),
            error: error.into(),
            help: None,
        };
        Self::Plain(Code::Failure, plain)
    }

    pub(crate) fn state(error: StoreError, help: Option<String>) -> Self {
        let plain = Plain {
            what: None,
            error: error.into(),
            help,
        };
        Self::Plain(Code::State, plain)
    }

    /// A state that is not what the command is for.
    pub(crate) fn unfit_state(what: &str, help: &str) -> Self {
        let plain = Plain {
            what: None,
            error: what.into(),
            help: Some(help.to_owned()),
        };
        Self::Plain(Code::State, plain)
    }

    /// What was given is refused.
    pub(crate) fn refused(what: &str, error: String, help: &str) -> Self {
        let plain = Plain {
            what: Some(what.to_owned()),
            error: error.into(),
            help: Some(help.to_owned()),
        };
        Self::Plain(Code::Refused, plain)
    }

    /// What the command line says cannot be.
    pub(crate) fn usage(what: &str, help: &str) -> Self {
        let plain = Plain {
            what: None,
            error: what.into(),
            help: Some(help.to_owned()),
        };
        Self::Plain(Code::Usage, plain)
    }

    /// Nobody answers for a state directory.
    pub(crate) fn no_engine(state_dir: &Path) -> Self {
        let plain = Plain {
            what: None,
            error: format!("no engine runs on the state directory {}", state_dir.display()).into(),
            help: Some(
                "start it with `nexum run`, or name its state directory with --config or --state-dir"
                    .to_owned(),
            ),
        };
        Self::Plain(Code::NoEngine, plain)
    }

    pub(crate) fn denied(fault: Fault) -> Self {
        Self::Denied(fault)
    }

    /// The same as JSON on standard output, where the command was asked for JSON.
    pub(crate) fn told_as_json(self, json: bool) -> Self {
        let Self::Denied(fault) = &self else {
            return self;
        };
        if !json {
            return self;
        }
        let code = self.code();
        match output::print_json(&serde_json::json!({ "error": fault })) {
            Ok(()) => Self::AlreadyTold(code),
            Err(failure) => failure,
        }
    }

    /// What modules had pending is not on disk.
    pub(crate) fn unsaved(modules: &[String]) -> Self {
        let plain = Plain {
            what: Some("what was pending is not on disk".to_owned()),
            error: modules.join("; ").into(),
            help: Some(
                "state and cursor are of an earlier event; it is delivered again".to_owned(),
            ),
        };
        Self::Plain(Code::State, plain)
    }

    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Refused(_) => Code::Refused,
            Self::Denied(fault) => match fault.code {
                FaultKind::Refused => Code::Refused,
                FaultKind::Failed => Code::Failure,
                FaultKind::Stopping => Code::NoEngine,
                _ => Code::Denied,
            },
            Self::AlreadyTold(code) | Self::Plain(code, _) => *code,
        }
    }

    /// What is wrong, in one line.
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::Refused(errors) => errors.to_string(),
            Self::Denied(fault) => fault.message.clone(),
            Self::AlreadyTold(_) => String::new(),
            Self::Plain(_, plain) => match &plain.what {
                Some(what) => format!("{what}: {}", plain.error),
                None => plain.error.to_string(),
            },
        }
    }

    /// Prints it on standard error.
    pub(crate) fn report(self) {
        match self {
            Self::Refused(errors) => {
                output::complain(&format!("{:?}", miette::Report::new(errors.summary())));
            }
            Self::AlreadyTold(_) => {}
            Self::Denied(fault) => output::complain(&denied(&fault)),
            Self::Plain(_, plain) => output::complain(&plain.to_string()),
        }
    }
}

/// What an engine's refusal says, a line each.
fn denied(fault: &Fault) -> String {
    let mut text = format!("error: {}", fault.message);
    if let Some(token) = &fault.token {
        for widening in &fault.difference {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  asks for: {widening}");
        }
        let _ = write!(
            text,
            "\n  help: if it may have that, run the same again with --accept {token}"
        );
    }
    text
}

impl fmt::Display for Plain {
    /// The error, what caused it, and what to do, a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error: ")?;
        if let Some(what) = &self.what {
            write!(f, "{what}: ")?;
        }
        write!(f, "{}", self.error)?;
        let mut source = self.error.source();
        while let Some(cause) = source {
            write!(f, "\n  caused by: {cause}")?;
            source = cause.source();
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::state(error, None)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Refused(errors) => Self::Refused(errors),
            StartError::Store(error) => error.into(),
            StartError::WrongChainIds(error) => {
                let plain = Plain {
                    what: None,
                    error: error.into(),
                    help: None,
                };
                Self::Plain(Code::Refused, plain)
            }
            error => Self::other("the engine could not be started", error),
        }
    }
}

/// How refusals look: whole lines where they go to a file, folded between words where they go to
/// a terminal. A path is never broken, so that it can be taken out and used.
pub(crate) fn set_up_reports() {
    let folded = io::stderr().is_terminal();
    // Fails only where it has been done before.
    let _ = miette::set_hook(Box::new(move |_| {
        let options = MietteHandlerOpts::new()
            .break_words(false)
            .wrap_lines(folded);
        Box::new(options.build())
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_exit_codes_are_these() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/reference/exit-codes.md"
        );
        let document = std::fs::read_to_string(path).unwrap();
        let rows: Vec<_> = document
            .lines()
            .filter(|line| line.starts_with("| "))
            .skip(1)
            .collect();
        let expected: Vec<_> = Code::ALL
            .iter()
            .map(|code| format!("| {} | {} |", code.number(), code.meaning()))
            .collect();
        assert_eq!(rows, expected);
    }
}

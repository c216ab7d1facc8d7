//! How `cargo nexum` ends: the one table of exit codes, and the failures that lead to them.

use std::{
    error::Error,
    fmt::{self, Write as _},
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use miette::MietteHandlerOpts;
use nexum_engine::StartError;
use nexum_manifest::{ManifestErrors, Problem};
use serde::Serialize;

use crate::output;

/// The exit codes. `docs/reference/cargo-nexum.md` and `cargo nexum --help` are made from
/// [`Code::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Success,
    Failure,
    Usage,
    Refused,
    Build,
    Toolchain,
    Unmet,
    Interrupted,
}

impl Code {
    pub(crate) const ALL: [Self; 8] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::Refused,
        Self::Build,
        Self::Toolchain,
        Self::Unmet,
        Self::Interrupted,
    ];

    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Build => 4,
            Self::Toolchain => 5,
            Self::Unmet => 6,
            Self::Interrupted => 130,
        }
    }

    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done; for `run`: every expectation is met and nothing failed",
            Self::Failure => "a failure that none of the other codes names",
            Self::Usage => "the command line is wrong; nothing was done",
            Self::Refused => "the manifest, a fixture or the component is not right",
            Self::Build => "cargo could not build or check the package",
            Self::Toolchain => "cargo cannot be started, or the target wasm32-wasip2 is missing",
            Self::Unmet => "an expectation of a fixture is not met, or the module failed",
            Self::Interrupted => "it was ended by Ctrl-C",
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
    /// Files or the component are refused, each at its place.
    Refused(ManifestErrors),
    /// Said already, in the form that was asked for.
    AlreadyTold(Code),
    /// Said by cargo, on standard error.
    OfCargo,
    /// Ended by Ctrl-C: whoever did it knows.
    Interrupted,
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

    /// A failure with what to do about it.
    pub(crate) fn told(
        code: Code,
        error: impl Into<Box<dyn Error + Send + Sync>>,
        help: impl Into<String>,
    ) -> Self {
        let plain = Plain {
            what: None,
            error: error.into(),
            help: Some(help.into()),
        };
        Self::Plain(code, plain)
    }

    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Refused(_) => Code::Refused,
            Self::OfCargo => Code::Build,
            Self::Interrupted => Code::Interrupted,
            Self::AlreadyTold(code) | Self::Plain(code, _) => *code,
        }
    }

    /// What is wrong, in one line.
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::Refused(errors) => errors.to_string(),
            Self::AlreadyTold(_) | Self::OfCargo | Self::Interrupted => {
                self.code().meaning().to_owned()
            }
            Self::Plain(_, plain) => plain.line(),
        }
    }

    /// The problems with a place in a file.
    pub(crate) fn problems(&self) -> Vec<&Problem> {
        match self {
            Self::Refused(errors) => errors.problems().collect(),
            Self::AlreadyTold(_) | Self::OfCargo | Self::Interrupted | Self::Plain(..) => {
                Vec::new()
            }
        }
    }

    /// What to do about it, where no problem with a place says so.
    fn help(&self) -> Option<&str> {
        match self {
            Self::Plain(_, plain) => plain.help.as_deref(),
            _ => None,
        }
    }

    /// Tells it, unless that was done: people on standard error, and with `json` a program on
    /// standard output.
    pub(crate) fn report(self, json: bool) -> Result<(), Self> {
        match self {
            Self::AlreadyTold(_) => Ok(()),
            failure if json => output::print_json(&FailureReport::of(&failure)?),
            Self::Refused(errors) => {
                output::complain(&format!("{:?}", miette::Report::new(errors.summary())));
                Ok(())
            }
            Self::OfCargo | Self::Interrupted => Ok(()),
            Self::Plain(_, plain) => {
                output::complain(&plain.to_string());
                Ok(())
            }
        }
    }
}

/// What `--json` prints where a command fails before it has a report of its own.
#[derive(Debug, Serialize)]
pub(crate) struct FailureReport {
    ok: bool,
    /// What is wrong at a place of a file.
    pub(crate) problems: Vec<serde_json::Value>,
    /// What else is wrong; null where there are problems.
    pub(crate) error: Option<String>,
    /// What to do about the error.
    pub(crate) help: Option<String>,
}

impl FailureReport {
    pub(crate) fn of(failure: &Failure) -> Result<Self, Failure> {
        let problems = failure.problems().into_iter().map(serde_json::to_value);
        let problems: Vec<_> = problems
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::other("the output could not be made", error))?;
        Ok(Self {
            ok: false,
            error: problems.is_empty().then(|| failure.summary()),
            help: failure.help().map(str::to_owned),
            problems,
        })
    }
}

impl Plain {
    fn line(&self) -> String {
        match &self.what {
            Some(what) => format!("{what}: {}", self.error),
            None => self.error.to_string(),
        }
    }
}

impl fmt::Display for Plain {
    /// The error, what caused it, and what to do, a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.line())?;
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

impl From<ManifestErrors> for Failure {
    fn from(errors: ManifestErrors) -> Self {
        Self::Refused(errors)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Refused(errors) => Self::Refused(errors),
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
            "/../../docs/reference/cargo-nexum.md"
        );
        let document = std::fs::read_to_string(path).unwrap();
        let (_, codes) = document.split_once("## Exit codes").unwrap();
        let rows: Vec<_> = codes
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

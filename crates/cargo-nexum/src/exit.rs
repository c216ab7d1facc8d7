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
    /// Said already, in the form that was asked for, or by cargo.
    AlreadyTold(Code),
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
            Self::AlreadyTold(code) | Self::Plain(code, _) => *code,
        }
    }

    /// What is wrong, in one line; nothing where it was said already.
    pub(crate) fn summary(&self) -> Option<String> {
        match self {
            Self::Refused(errors) => Some(errors.to_string()),
            Self::AlreadyTold(_) => None,
            Self::Plain(_, plain) => Some(plain.line()),
        }
    }

    /// The problems with a place in a file.
    pub(crate) fn problems(&self) -> Vec<&Problem> {
        match self {
            Self::Refused(errors) => errors.problems().collect(),
            Self::AlreadyTold(_) | Self::Plain(..) => Vec::new(),
        }
    }

    /// Prints it on standard error.
    pub(crate) fn report(self) {
        match self {
            Self::Refused(errors) => {
                output::complain(&format!("{:?}", miette::Report::new(errors.summary())));
            }
            Self::AlreadyTold(_) => {}
            Self::Plain(_, plain) => output::complain(&plain.to_string()),
        }
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

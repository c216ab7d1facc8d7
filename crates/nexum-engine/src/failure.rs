//! Why an `init` or an event was not committed, and whose fault that is.

use nexum_host::Trap;
use nexum_store::StoreError;
use nexum_types::HostError;

/// Why an `init` or an event was not committed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the module returned an error")]
    Returned(#[source] HostError),
    #[error(transparent)]
    Trapped(Trap),
    #[error("its state could not be opened, read or committed")]
    Store(#[source] StoreError),
    #[error("the work on its state was cut off")]
    StoreCutOff(#[source] tokio::task::JoinError),
}

/// What kind of failure a module has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// It returned an error.
    Returned,
    /// Its code trapped.
    Trapped,
    /// A call used up its fuel.
    OutOfFuel,
    /// A call took too long.
    Deadline,
    /// It ended itself.
    Exit,
    /// Its state could not be opened, read or committed.
    Store,
    /// There was no room for a further dead letter.
    LettersFull,
    /// Its worker panicked: a fault of the engine's own.
    Panicked,
}

impl FailureKind {
    /// Every kind, in order.
    pub const ALL: [Self; 8] = [
        Self::Returned,
        Self::Trapped,
        Self::OutOfFuel,
        Self::Deadline,
        Self::Exit,
        Self::Store,
        Self::LettersFull,
        Self::Panicked,
    ];

    /// The kind as a word, for metrics and for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Returned => "error",
            Self::Trapped => "trap",
            Self::OutOfFuel => "fuel",
            Self::Deadline => "deadline",
            Self::Exit => "exit",
            Self::Store => "store",
            Self::LettersFull => "letters-full",
            Self::Panicked => "panic",
        }
    }
}

impl Failure {
    pub(crate) fn kind(&self) -> FailureKind {
        match self {
            Self::Returned(_) => FailureKind::Returned,
            Self::Trapped(Trap::OutOfFuel(_)) => FailureKind::OutOfFuel,
            Self::Trapped(Trap::Deadline(_)) => FailureKind::Deadline,
            Self::Trapped(Trap::Exit(_)) => FailureKind::Exit,
            Self::Trapped(Trap::Guest { .. }) => FailureKind::Trapped,
            Self::Store(StoreError::LettersFull { .. }) => FailureKind::LettersFull,
            Self::Store(_) | Self::StoreCutOff(_) | Self::Trapped(Trap::Store(_)) => {
                FailureKind::Store
            }
        }
    }

    /// True where it is the state that failed, and not the module: the store has to be opened anew
    /// before it can be used again.
    pub(crate) fn is_of_store(&self) -> bool {
        match self {
            Self::Store(_) | Self::StoreCutOff(_) | Self::Trapped(Trap::Store(_)) => true,
            Self::Returned(_) | Self::Trapped(_) => false,
        }
    }

    /// The functions that ran in the guest, innermost first, if they are known.
    pub(crate) fn backtrace(&self) -> &str {
        match self {
            Self::Trapped(Trap::Guest { backtrace, .. }) => backtrace,
            _ => "",
        }
    }
}

/// An error and what led to it, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

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

impl Failure {
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

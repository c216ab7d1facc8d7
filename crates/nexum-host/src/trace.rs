//! What calls of a module do, noted for whoever develops it. In production nobody asks for it, and
//! nothing is noted.

use std::{
    fmt, mem,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use nexum_manifest::Capability;
use nexum_types::{Bytes, ChainId, HostError, HostErrorKind, RpcRequest};
use tracing::Level;

use crate::{guest::Guest, load::Loaded};

/// The most that is noted of one call.
const MAX_NOTES: usize = 10_000;
/// The most of parameters that a summary shows, in characters.
const SHOWN: usize = 120;

/// One thing that a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Did {
    /// It logged a line, or wrote one to its standard output or error.
    Logged {
        /// At this level.
        level: Level,
        /// `logging`, `stdout` or `stderr`.
        source: &'static str,
        /// The line, as a log shows it.
        text: String,
    },
    /// It called a function of the host.
    Asked(HostCall),
}

/// One call of a function of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCall {
    /// The interface.
    pub interface: Capability,
    /// The function, as the contract calls it.
    pub function: &'static str,
    /// What it was called with.
    pub asked: Asked,
    /// How long it took.
    pub took: Duration,
    /// The kind of its error, where it answered one; of a batch, that of the first.
    pub failed: Option<HostErrorKind>,
}

/// What a function of the host was called with. Displays as a short summary.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// Nothing.
    Nothing,
    /// A key.
    Key(String),
    /// A key and a value of so many bytes.
    Value(String, usize),
    /// What keys begin with.
    Prefix(String),
    /// Requests to a chain.
    Requests(ChainId, Vec<RpcRequest>),
    /// The method and the URL of a request to a server outside, as the module has them.
    Fetch(String, String),
    /// An account, and so many bytes to sign with it.
    ToSign(Bytes, usize),
}

impl Asked {
    /// The key of the state that the call may have changed.
    #[must_use]
    pub fn changes(&self, function: &str) -> Option<&str> {
        match self {
            Self::Value(key, _) => Some(key),
            Self::Key(key) if function == "delete" => Some(key),
            _ => None,
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Key(key) => write!(f, "{key:?}"),
            Self::Value(key, bytes) => write!(f, "{key:?}, {bytes} bytes"),
            Self::Prefix(prefix) => write!(f, "{prefix:?}"),
            Self::Fetch(method, url) => write!(f, "{} {}", shortened(method), shortened(url)),
            Self::ToSign(account, bytes) => write!(f, "{account}, {bytes} bytes"),
            Self::Requests(chain, requests) => match requests.as_slice() {
                [one] => write!(f, "{chain}, {} {}", one.method, shortened(&one.params)),
                several => {
                    write!(f, "{chain}, {} requests", several.len())?;
                    several.iter().try_for_each(|one| {
                        write!(f, ", {} {}", one.method, shortened(&one.params))
                    })
                }
            },
        }
    }
}

fn shortened(params: &str) -> String {
    match params.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &params[..end]),
        None => params.to_owned(),
    }
}

/// What the call in flight has done so far; nothing is noted until somebody asks for it.
#[derive(Debug, Default)]
pub(crate) struct Trace(OnceLock<Mutex<Vec<Did>>>);

impl Trace {
    /// Notes what `did` answers, which is asked only where somebody wants it.
    pub(crate) fn note(&self, did: impl FnOnce() -> Did) {
        let Some(notes) = self.0.get() else { return };
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < MAX_NOTES {
            notes.push(did());
        }
    }

    /// When a host call begins, where that matters to anybody.
    pub(crate) fn begins(&self) -> Option<Instant> {
        self.0.get().map(|_| Instant::now())
    }

    /// All that was noted; there is nothing afterwards.
    pub(crate) fn take(&self) -> Vec<Did> {
        let Some(notes) = self.0.get() else {
            return Vec::new();
        };
        mem::take(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Loaded {
    /// Notes from now on what calls do, for their reports.
    pub fn trace_calls(&self) {
        self.log.trace.0.get_or_init(Mutex::default);
    }
}

impl Guest {
    /// When a host call begins, where that matters to anybody.
    pub(crate) fn begins(&self) -> Option<Instant> {
        self.log.trace.begins()
    }

    /// A host call has ended that began then.
    pub(crate) fn ended<T>(
        &self,
        began: Option<Instant>,
        (interface, function): (Capability, &'static str),
        asked: impl FnOnce() -> Asked,
        answer: &Result<T, HostError>,
    ) {
        let Some(began) = began else { return };
        self.log.trace.note(|| {
            Did::Asked(HostCall {
                interface,
                function,
                asked: asked(),
                took: began.elapsed(),
                failed: answer.as_ref().err().map(|error| error.kind),
            })
        });
    }
}

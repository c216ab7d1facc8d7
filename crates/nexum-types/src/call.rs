//! Which call of a module something belongs to, over all of its attempts.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{B256, Event, EventId, Source, StateBackend, StateError};

/// Names a call of a module by what it is given. Each attempt of a call has the same name; so has
/// a later call with the same event, such as after a reorg that brings a block back, or of another
/// subscription. Of those one is over, or its event parked, before the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKey {
    /// The `init` of the component with this sha256.
    Init(B256),
    /// Its `on-event`.
    Event {
        /// Where the event comes from.
        source: Source,
        /// The event.
        event: EventId,
    },
    /// A dead letter of this number, given once more.
    Letter(u64),
}

impl CallKey {
    /// The call with that event; none for one that has no name, which no feed tells.
    #[must_use]
    pub fn of(source: Source, event: &Event) -> Option<Self> {
        let event = event.id()?;
        Some(Self::Event { source, event })
    }
}

impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init(component) => write!(f, "init {component}"),
            Self::Event { source, event } => write!(f, "{source}, {event}"),
            Self::Letter(id) => write!(f, "letter {id}"),
        }
    }
}

/// Names one call beyond doubt: it is drawn when the call first has an effect that must not be
/// had twice, and goes with the commit of the call.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct CallId(pub [u8; 16]);

/// A call under way, for whoever has an effect on its behalf.
#[derive(Clone)]
pub struct CallOf {
    backend: Arc<dyn StateBackend>,
    key: CallKey,
}

impl CallOf {
    pub(crate) fn new(backend: Arc<dyn StateBackend>, key: CallKey) -> Self {
        Self { backend, key }
    }

    /// The id of the call, the same at each of its attempts. It is on the disk when this returns,
    /// which blocks for that.
    pub fn id(&self) -> Result<CallId, StateError> {
        self.backend.call_id(self.key)
    }
}

impl fmt::Debug for CallOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallOf").field(&self.key).finish()
    }
}

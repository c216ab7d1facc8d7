//! What the expansions of this project's macros call. No author does.
//!
//! Everything that need not know the module's types stands here once, so that an expansion is
//! little more than the calls of the handlers.

use alloy_primitives::B256;
use alloy_sol_types::{SolEvent, TopicList};

use crate::{Event, HostError, Log, Result};

/// What a handler may return.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "neither nothing nor a `Result<()>`",
    note = "a handler returns nothing, or `Result<(), E>` where `HostError: From<E>`",
    note = "for an error of a library, write `.or_invalid(\"what was being read\")?` or `.or_internal(\"what was being done\")?` where it arises",
    note = "for an error of the module's own, write `impl From<…> for HostError`"
)]
pub trait Outcome {
    /// What the handler came to.
    fn outcome(self) -> Result<()>;
}

#[diagnostic::do_not_recommend]
impl Outcome for () {
    fn outcome(self) -> Result<()> {
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl<E: Into<HostError>> Outcome for Result<(), E> {
    fn outcome(self) -> Result<()> {
        self.map_err(Into::into)
    }
}

/// What an `#[init]` that makes the module's value `M` may return.
#[diagnostic::on_unimplemented(
    message = "`#[init]` cannot return `{Self}`",
    label = "neither `Self` nor a `Result<Self>`",
    note = "`#[init]` returns `Self`, or `Result<Self, E>` where `HostError: From<E>`",
    note = "for an error of a library, write `.or_invalid(\"what was being read\")?` or `.or_internal(\"what was being done\")?` where it arises",
    note = "for an error of the module's own, write `impl From<…> for HostError`"
)]
pub trait Begun<M> {
    /// What `#[init]` came to.
    fn begun(self) -> Result<M>;
}

#[diagnostic::do_not_recommend]
impl<M> Begun<M> for M {
    fn begun(self) -> Result<M> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl<M, E: Into<HostError>> Begun<M> for Result<M, E> {
    fn begun(self) -> Result<M> {
        self.map_err(Into::into)
    }
}

/// A module's value where nothing makes one.
#[diagnostic::on_unimplemented(
    message = "nothing makes the value that `self` stands for",
    label = "`{Self}` is not `Default`",
    note = "write an `#[init]` that returns `Self`, or derive `Default` for `{Self}`"
)]
pub trait ByDefault {
    /// The module's value, from its type alone.
    fn by_default() -> Self;
}

#[diagnostic::do_not_recommend]
impl<M: Default> ByDefault for M {
    fn by_default() -> Self {
        M::default()
    }
}

/// An event of `sol!`, with what is known of it without a log.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event of `sol!`",
    label = "no event",
    note = "declare it: `sol! {{ event Transfer(address indexed from, address indexed to, uint256 value); }}`"
)]
pub trait LogEvent: Sized {
    /// The signature.
    const SIGNATURE: &'static str;
    /// The hash of the signature.
    const TOPIC: B256;
    /// How many topics its logs have.
    const TOPICS: usize;
    /// Whether its logs do not have that topic.
    const ANONYMOUS: bool;

    /// The log as that event, or nothing where it is another one, also one that has the topic
    /// alone in common with it.
    fn decoded(log: &Log) -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<E: SolEvent> LogEvent for E {
    const SIGNATURE: &'static str = E::SIGNATURE;
    const TOPIC: B256 = E::SIGNATURE_HASH;
    const TOPICS: usize = <E::TopicList as TopicList>::COUNT;
    const ANONYMOUS: bool = E::ANONYMOUS;

    fn decoded(log: &Log) -> Option<Self> {
        if log.topics.first() != Some(&E::SIGNATURE_HASH) {
            return None;
        }
        E::decode_raw_log_validate(log.topics.iter().copied(), &log.data).ok()
    }
}

/// True where `topic` is one of `topics`.
#[must_use]
pub const fn has_topic(topics: &[B256], topic: &B256) -> bool {
    let mut index = 0;
    while index < topics.len() {
        let mut byte = 0;
        while byte < 32 && topics[index].0[byte] == topic.0[byte] {
            byte += 1;
        }
        if byte == 32 {
            return true;
        }
        index += 1;
    }
    false
}

/// Passes over a log that is none of the events that the module has handlers for. An error would
/// only bring it back, for ever.
pub fn pass_over_log(log: &Log) {
    crate::log::warn!(
        "passed over log {} of {:#x}: it is none of the events that the module handles",
        log.log_index,
        log.address
    );
}

/// Passes over an event of a kind that the module has no handler for: the engine runs it with
/// another manifest than the one it was compiled with.
pub fn pass_over(event: &Event) {
    let kind = match event {
        Event::Block(_) => "a block",
        Event::Logs(_) => "logs",
        Event::Tick(_) => "a tick",
        Event::Message(_) => "a message",
    };
    crate::log::warn!("passed over {kind}: the module has no handler for it");
}

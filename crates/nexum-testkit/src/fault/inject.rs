//! Which fault hits which message.

use super::{Fault, Injection};
use crate::message::Message;

/// What subscriptions announce goes by this method.
pub(crate) const NOTE: &str = "eth_subscription";

impl Fault {
    /// True where the fault means something for the message.
    fn concerns(&self, message: &Message) -> bool {
        let asks = |method: &str| message.methods().any(|asked| asked.starts_with(method));
        match self {
            Self::BatchRefused | Self::DuplicateId | Self::MissingAnswer | Self::Reordered => {
                message.is_batch()
            }
            Self::LogsOfAnotherBlock
            | Self::LogsOutOfOrder
            | Self::LogsOutOfRange
            | Self::LogMissing => asks("eth_getLogs"),
            Self::WrongParent => asks("eth_getBlockBy"),
            _ => true,
        }
    }
}

impl Injection {
    fn hits(&self, message: &Message) -> bool {
        let named = self
            .method
            .as_ref()
            .is_none_or(|method| message.methods().any(|asked| asked == method));
        named && self.fault.concerns(message)
    }
}

/// The injections of one endpoint, in the order in which they were made: the first that hits
/// counts.
#[derive(Debug, Default)]
pub(crate) struct Injections(Vec<Injection>);

impl Injections {
    pub(crate) fn add(&mut self, injection: Injection) {
        self.0.push(injection);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that hits a request.
    pub(crate) fn strike(&mut self, message: &Message) -> Option<Fault> {
        self.take(|injection| injection.hits(message))
    }

    /// The fault that hits what a subscription announces.
    pub(crate) fn strike_note(&mut self) -> Option<Fault> {
        self.take(|injection| injection.method.as_deref() == Some(NOTE))
    }

    fn take(&mut self, hits: impl Fn(&Injection) -> bool) -> Option<Fault> {
        let index = self
            .0
            .iter()
            .position(|injection| injection.times != Some(0) && hits(injection))?;
        let injection = &mut self.0[index];
        let fault = injection.fault.clone();
        if let Some(times) = &mut injection.times {
            *times -= 1;
            if *times == 0 {
                self.0.remove(index);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        Message::read(text.as_bytes())
    }

    #[test]
    fn an_injection_hits_as_often_as_it_says_and_only_what_it_names() {
        let mut injections = Injections::default();
        injections.add(Injection::new(Fault::Garbage).times(2).on("eth_getLogs"));
        injections.add(Injection::new(Fault::Null).on(NOTE));
        injections.add(Injection::new(Fault::MissingAnswer).times(1));
        let logs = message(r#"{"id":1,"method":"eth_getLogs","params":[]}"#);
        let batch = message(r#"[{"id":1,"method":"eth_chainId"}]"#);
        let other = message(r#"{"id":1,"method":"eth_chainId"}"#);
        assert_eq!(injections.strike(&other), None);
        assert_eq!(injections.strike(&logs), Some(Fault::Garbage));
        assert_eq!(injections.strike(&batch), Some(Fault::MissingAnswer));
        assert_eq!(injections.strike(&batch), None);
        assert_eq!(injections.strike(&logs), Some(Fault::Garbage));
        assert_eq!(injections.strike(&logs), None);
        assert_eq!(injections.strike_note(), Some(Fault::Null));
        assert_eq!(injections.strike_note(), Some(Fault::Null));
    }
}

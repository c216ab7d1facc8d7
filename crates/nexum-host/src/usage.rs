//! What a module uses up and what it is denied, counted where it happens and read by anyone.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use nexum_manifest::{Capability, IdentityMethod};
use nexum_types::{Counter, Histogram, HistogramReading, HostError, HostErrorKind};
use tracing::Level;

/// The counts of one loaded component, over all instances that are made of it.
#[derive(Debug)]
pub struct Usage {
    memory_bytes: AtomicU64,
    highest_memory_bytes: AtomicU64,
    denied_growths: Counter,
    denials: [Counter; Capability::ALL.len()],
    log_lines: [Counter; LEVELS.len()],
    dropped_log_lines: Counter,
    http_outcomes: [Counter; OUTCOMES.len()],
    http_seconds: Histogram,
    /// The bytes of bodies: sent, and received.
    http_bytes: [Counter; 2],
    signatures: [Counter; IdentityMethod::ALL.len()],
}

/// Everything at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageReading {
    /// What the linear memories and tables of its instance take, in bytes.
    pub memory_bytes: u64,
    /// The most that they have taken.
    pub highest_memory_bytes: u64,
    /// How often a memory or a table was not let grow.
    pub denied_growths: u64,
    /// Calls that were answered `denied`, or `unsupported` since the module does not have the
    /// capability, by the capability that they needed. All of them are listed.
    pub denials: Vec<(Capability, u64)>,
    /// Lines that were logged, by level. All levels are listed.
    pub log_lines: Vec<(&'static str, u64)>,
    /// Lines that were dropped, since they were over the rate.
    pub dropped_log_lines: u64,
    /// Requests to servers outside.
    pub http: HttpReading,
    /// Signatures that were handed out, by the function that made them. All of those are listed.
    pub signatures: Vec<(IdentityMethod, u64)>,
}

/// What became of requests to servers outside, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpReading {
    /// How many there were, by what the module got: `ok` for a response of any status, or the kind
    /// of the error. All of them are listed.
    pub outcomes: Vec<(&'static str, u64)>,
    /// How long they took, waits included, in nanoseconds.
    pub took: HistogramReading,
    /// The bodies that modules gave, in bytes.
    pub sent_bytes: u64,
    /// The bodies that modules got, in bytes.
    pub received_bytes: u64,
}

const OUTCOMES: [(Option<HostErrorKind>, &str); 8] = [
    (None, "ok"),
    (Some(HostErrorKind::Unsupported), "unsupported"),
    (Some(HostErrorKind::Unavailable), "unavailable"),
    (Some(HostErrorKind::Denied), "denied"),
    (Some(HostErrorKind::RateLimited), "rate-limited"),
    (Some(HostErrorKind::Timeout), "timeout"),
    (Some(HostErrorKind::InvalidInput), "invalid-input"),
    (Some(HostErrorKind::Internal), "internal"),
];

const LEVELS: [(Level, &str); 5] = [
    (Level::ERROR, "error"),
    (Level::WARN, "warn"),
    (Level::INFO, "info"),
    (Level::DEBUG, "debug"),
    (Level::TRACE, "trace"),
];

impl Default for Usage {
    fn default() -> Self {
        Self {
            memory_bytes: AtomicU64::default(),
            highest_memory_bytes: AtomicU64::default(),
            denied_growths: Counter::default(),
            denials: Default::default(),
            log_lines: Default::default(),
            dropped_log_lines: Counter::default(),
            http_outcomes: Default::default(),
            http_seconds: Histogram::of_durations(),
            http_bytes: Default::default(),
            signatures: Default::default(),
        }
    }
}

impl Usage {
    pub(crate) fn memory_taken(&self, bytes: u64) {
        let now = self.memory_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.highest_memory_bytes.fetch_max(now, Ordering::Relaxed);
    }

    pub(crate) fn memory_given_back(&self, bytes: u64) {
        self.memory_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn growth_denied(&self) {
        self.denied_growths.add(1);
    }

    /// Counts an answer to the module where it is a denial.
    pub(crate) fn answered<T>(&self, capability: Capability, answer: &Result<T, HostError>) {
        if matches!(answer, Err(error) if error.kind == HostErrorKind::Denied) {
            // `ALL` has the order of the enum.
            self.denials[capability as usize].add(1);
        }
    }

    /// Counts a call of a capability that the module does not have.
    pub(crate) fn withheld(&self, capability: Capability) {
        self.denials[capability as usize].add(1);
    }

    pub(crate) fn logged(&self, level: Level) {
        if let Some(index) = LEVELS.iter().position(|(of, _)| *of == level) {
            self.log_lines[index].add(1);
        }
    }

    /// Counts a request to a server outside, with the bytes of what was sent and received.
    pub(crate) fn fetched(&self, failed: Option<HostErrorKind>, took: Duration, bytes: [usize; 2]) {
        if let Some(index) = OUTCOMES.iter().position(|(of, _)| *of == failed) {
            self.http_outcomes[index].add(1);
        }
        self.http_seconds.observe_duration(took);
        for (counter, bytes) in self.http_bytes.iter().zip(bytes) {
            counter.add(bytes as u64);
        }
    }

    pub(crate) fn log_line_dropped(&self) {
        self.dropped_log_lines.add(1);
    }

    pub(crate) fn signed(&self, method: IdentityMethod) {
        // `ALL` has the order of the enum.
        self.signatures[method as usize].add(1);
    }

    /// Everything as it is now.
    #[must_use]
    pub fn read(&self) -> UsageReading {
        let denials = Capability::ALL.into_iter().zip(&self.denials);
        let log_lines = LEVELS.iter().zip(&self.log_lines);
        UsageReading {
            memory_bytes: self.memory_bytes.load(Ordering::Relaxed),
            highest_memory_bytes: self.highest_memory_bytes.load(Ordering::Relaxed),
            denied_growths: self.denied_growths.get(),
            denials: denials.map(|(of, count)| (of, count.get())).collect(),
            log_lines: log_lines
                .map(|((_, name), count)| (*name, count.get()))
                .collect(),
            dropped_log_lines: self.dropped_log_lines.get(),
            http: HttpReading {
                outcomes: OUTCOMES
                    .iter()
                    .zip(&self.http_outcomes)
                    .map(|((_, name), count)| (*name, count.get()))
                    .collect(),
                took: self.http_seconds.read(),
                sent_bytes: self.http_bytes[0].get(),
                received_bytes: self.http_bytes[1].get(),
            },
            signatures: IdentityMethod::ALL
                .into_iter()
                .zip(&self.signatures)
                .filter(|(method, _)| *method != IdentityMethod::Accounts)
                .map(|(method, count)| (method, count.get()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_counts_for_its_capability_and_no_other_answer_does() {
        for (index, capability) in Capability::ALL.into_iter().enumerate() {
            assert_eq!(capability as usize, index);
            let usage = Usage::default();
            let answer = |kind| Err::<(), _>(HostError::new("x", kind, "x"));
            usage.answered(capability, &answer(HostErrorKind::Denied));
            usage.answered(capability, &answer(HostErrorKind::Internal));
            usage.answered(capability, &Ok(()));
            let counted: Vec<_> = usage
                .read()
                .denials
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .collect();
            assert_eq!(counted, [(capability, 1)]);
        }
    }

    #[test]
    fn the_highest_memory_stays_when_memory_is_given_back() {
        let usage = Usage::default();
        usage.memory_taken(10);
        usage.memory_taken(5);
        usage.memory_given_back(15);
        usage.memory_taken(1);
        let read = usage.read();
        assert_eq!((read.memory_bytes, read.highest_memory_bytes), (1, 15));
    }
}

//! The SDK on its mock host, natively.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod chain;
mod effects;
mod errors;
mod host;
mod journal;
mod play;
mod transactions;
mod typed;

use nexum_sdk::{Event, Module, Result, module::Config, testing::MockHost};

/// A manifest that declares everything, with subscriptions and configuration at its end.
fn manifest(rest: &str) -> String {
    format!(
        r#"
[module]
name = "probe"
version = "0.1.0"

[module.resources]
max_state_bytes = 200

[chains]
required = [1, 100]

[capabilities]
required = ["chain", "local-store", "logging", "clock", "random"]
optional = ["identity", "remote-store", "messaging", "http"]
[capabilities.identity]
methods = ["accounts", "sign", "sign-typed-data", "send-transaction"]
[capabilities.http]
allow = ["api.example.org", "a.example", "b.example"]

{rest}
"#
    )
}

/// A host for a module that subscribes to nothing.
fn bare() -> MockHost {
    MockHost::of(&manifest(""))
}

/// A module that keeps what it is given, and does what the test says with each event.
struct Recorder {
    seen: Vec<Event>,
    on_event: fn(&Event) -> Result<()>,
}

/// Makes a module of one function.
macro_rules! module {
    ($name:ident, $on_event:expr) => {
        struct $name(crate::Recorder);

        impl nexum_sdk::Module for $name {
            type Instance = Self;

            fn init(config: nexum_sdk::module::Config) -> nexum_sdk::Result<Self> {
                let mut recorder = crate::Recorder::init(config)?;
                recorder.on_event = $on_event;
                Ok(Self(recorder))
            }

            fn on_event(module: &mut Self, event: nexum_sdk::Event) -> nexum_sdk::Result<()> {
                crate::Recorder::on_event(&mut module.0, event)
            }
        }
    };
}
pub(crate) use module;

impl Module for Recorder {
    type Instance = Self;

    fn init(_: Config) -> Result<Self> {
        Ok(Self {
            seen: Vec::new(),
            on_event: |_| Ok(()),
        })
    }

    fn on_event(recorder: &mut Self, event: Event) -> Result<()> {
        (recorder.on_event)(&event)?;
        recorder.seen.push(event);
        Ok(())
    }
}

/// An event as one short word, such as `block 3` or `-logs 2: 0,1`.
fn word(event: &Event) -> String {
    match event {
        Event::Block(block) => format!("block {}", block.number),
        Event::Logs(logs) => {
            let sign = if logs[0].removed { "-" } else { "" };
            let indices: Vec<_> = logs.iter().map(|log| log.log_index.to_string()).collect();
            format!("{sign}logs {}: {}", logs[0].block_number, indices.join(","))
        }
        Event::Tick(tick) => format!("tick {}", tick.schedule),
        Event::Message(message) => format!("message {}", message.content_topic),
    }
}

//! The generated side of the contract. Generated types stay in this crate: each interface's file
//! turns them into the words of `nexum-types` at the boundary.

use nexum_types::{Block, Config, ConfigScalar, ConfigValue, Event, HostError, HostErrorKind, Log};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/nexum-host",
        world: "nexum:host/event-module",
        imports: {
            "nexum:host/chain": async | trappable,
            "nexum:host/http": async | trappable,
            "nexum:host/identity.sign": async | trappable,
            "nexum:host/identity.sign-typed-data": async | trappable,
            "nexum:host/local-store.checkpoint": async | trappable,
            "nexum:host/local-store.list-keys": async | trappable,
            default: trappable,
        },
        exports: { default: async },
    });
}

pub(crate) use generated::{
    EventModule, EventModulePre,
    nexum::host::{
        chain, clock, http, identity, local_store, logging, messaging, random, remote_store, types,
    },
};

impl types::Host for crate::guest::Guest {}

impl From<HostErrorKind> for types::HostErrorKind {
    fn from(kind: HostErrorKind) -> Self {
        match kind {
            HostErrorKind::Unsupported => Self::Unsupported,
            HostErrorKind::Unavailable => Self::Unavailable,
            HostErrorKind::Denied => Self::Denied,
            HostErrorKind::RateLimited => Self::RateLimited,
            HostErrorKind::Timeout => Self::Timeout,
            HostErrorKind::InvalidInput => Self::InvalidInput,
            HostErrorKind::Internal => Self::Internal,
        }
    }
}

impl From<types::HostErrorKind> for HostErrorKind {
    fn from(kind: types::HostErrorKind) -> Self {
        match kind {
            types::HostErrorKind::Unsupported => Self::Unsupported,
            types::HostErrorKind::Unavailable => Self::Unavailable,
            types::HostErrorKind::Denied => Self::Denied,
            types::HostErrorKind::RateLimited => Self::RateLimited,
            types::HostErrorKind::Timeout => Self::Timeout,
            types::HostErrorKind::InvalidInput => Self::InvalidInput,
            types::HostErrorKind::Internal => Self::Internal,
        }
    }
}

impl From<HostError> for types::HostError {
    fn from(error: HostError) -> Self {
        let HostError {
            domain,
            kind,
            code,
            message,
            data,
        } = error;
        Self {
            domain,
            kind: kind.into(),
            code,
            message,
            data,
        }
    }
}

impl From<types::HostError> for HostError {
    fn from(error: types::HostError) -> Self {
        let types::HostError {
            domain,
            kind,
            code,
            message,
            data,
        } = error;
        Self {
            domain,
            kind: kind.into(),
            code,
            message,
            data,
        }
    }
}

impl From<&Event> for types::Event {
    fn from(event: &Event) -> Self {
        match event {
            Event::Block(block) => Self::Block(block.into()),
            Event::Logs(logs) => Self::Logs(logs.iter().map(Into::into).collect()),
            Event::Tick(tick) => Self::Tick(types::Tick {
                fired_at: tick.fired_at_ms,
                schedule: tick.schedule.clone(),
            }),
        }
    }
}

impl From<&Block> for types::Block {
    fn from(block: &Block) -> Self {
        Self {
            chain_id: block.chain_id.0,
            number: block.number.0,
            hash: block.hash.to_vec(),
            parent_hash: block.parent_hash.to_vec(),
            timestamp: block.timestamp_ms,
        }
    }
}

impl From<&Log> for types::Log {
    fn from(log: &Log) -> Self {
        Self {
            chain_id: log.chain_id.0,
            address: log.address.to_vec(),
            topics: log.topics.iter().map(|topic| topic.to_vec()).collect(),
            data: log.data.to_vec(),
            block_number: log.block_number.0,
            block_hash: log.block_hash.to_vec(),
            block_timestamp: log.block_timestamp_ms,
            transaction_hash: log.transaction_hash.to_vec(),
            transaction_index: log.transaction_index,
            log_index: log.log_index,
            removed: log.removed,
        }
    }
}

/// The entries of `config` as the contract's `init` takes them.
pub(crate) fn wit_config(config: &Config) -> types::Config {
    let scalar = |scalar: &ConfigScalar| match scalar {
        ConfigScalar::String(text) => types::ConfigScalar::String(text.clone()),
        ConfigScalar::Integer(number) => types::ConfigScalar::Integer(*number),
        ConfigScalar::Boolean(truth) => types::ConfigScalar::Boolean(*truth),
    };
    let value = |value: &ConfigValue| match value {
        ConfigValue::String(text) => types::ConfigValue::String(text.clone()),
        ConfigValue::Integer(number) => types::ConfigValue::Integer(*number),
        ConfigValue::Boolean(truth) => types::ConfigValue::Boolean(*truth),
        ConfigValue::List(list) => types::ConfigValue::List(list.iter().map(scalar).collect()),
    };
    config
        .0
        .iter()
        .map(|(key, entry)| (key.clone(), value(entry)))
        .collect()
}

//! The two files of Nexum, `nexum.toml` (the author's) and `nexum-engine.toml` (the operator's):
//! from raw text to validated, resolved values.
//!
//! A text is parsed into a tree with places, decoded by declarations that also yield the JSON
//! Schema, and resolved once; the rest of the program sees only resolved values. Nothing stops at
//! the first problem: [`ManifestErrors`] has all of them, each with its place and remedy.
//!
//! This crate reads files and the environment, and never writes, never asks the network and never
//! reads a component's bytes. What it prints holds no secret of the operator's file.

mod address;
mod bundle;
mod chains;
mod config;
mod cron;
mod decode;
mod engine;
mod event;
mod file;
mod hosts;
mod http;
mod identity;
mod lists;
mod log_levels;
mod module;
mod observability;
mod policy;
mod problem;
mod resolved;
mod schedule;
mod secret;
mod source;
mod subscription;
mod topics;
mod transactions;
mod values;
mod wei;
mod wording;

pub use bundle::Bundle;
pub use engine::{EngineFile, Setup, schema_engine};
pub use hosts::{HostPattern, NoHostPattern, Scheme};
pub use identity::{
    IdentityGrant, IdentityMethod, IdentitySettings, KeystorePassword, KeystoreSettings,
    RemoteSignerUrl, UnlockAt,
};
pub use log_levels::{LogLevel, LogLevels};
pub use module::{ModuleFile, ModulePlaces, schema_module};
pub use problem::{ManifestErrors, Problem, Summary};
pub use resolved::*;
pub use schedule::{InvalidSchedule, Schedule};
pub use source::Place;
pub use transactions::{Recipients, TransactionRule};
pub use values::NoDigest;

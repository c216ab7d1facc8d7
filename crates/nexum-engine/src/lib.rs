//! The engine: loads modules, routes the feeds to them, and keeps them running.
//!
//! [`Engine`] is the facade. One event goes one way: feed, route, worker, call, commit. There is
//! no loop that all modules share: each module's worker pulls from the feeds at its own pace.

mod admin;
mod code_cache;
mod command;
mod committing;
mod connections;
mod delivery;
mod difference;
mod engine;
mod failure;
mod identities;
mod inlet;
mod letters;
mod lifecycle;
mod load;
mod logbook;
mod meters;
mod modules;
mod observe;
mod operate;
mod parking;
mod patience;
mod remembered;
mod route;
mod runtime;
mod status;
mod timetable;
mod upgrading;
mod waking;
mod watch;
pub mod wire;
mod withdrawal;
mod worker;

pub use admin::AdminError;
pub use code_cache::CodeOrigins;
pub use difference::Widening;

pub use engine::{Engine, Options, StartError, Stopped};
pub use failure::FailureKind;
pub use lifecycle::{Backoff, Phase};
pub use load::{NoChains, NoServers, check};
pub use logbook::{LogBook, LogLine, SetLevels};
pub use meters::{EventKind, EventOutcome, MetersReading};
pub use modules::Origin;
pub use nexum_identity::{Accounts, Password};
pub use observe::{
    Addresses, ChainHealth, ChainLag, EndpointHealth, HealthReport, HealthStatus, LogReport,
    ModuleHealth, ModuleLetter, ModulePace, NumberedLine, StatusReport, metrics_reference,
};
pub use operate::{LoadRequest, OperateError, Operator, Unloaded, UpgradeRequest};
pub use remembered::{RememberError, Remembered};
pub use runtime::runtime;
pub use status::{ModuleStatus, Rest};
pub use watch::{CallFailure, Called, Observer, StateChange};

//! The engine over real bundles on disk, real guests, real state files and real JSON-RPC servers.
//!
//! [`world`] sets the stage and runs the engine, [`evidence`] reads what a module has left behind,
//! [`log`] what was logged, [`http`] asks the engine itself, [`promql`] reads what others ask of it;
//! every other module has one subject.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails fails its test"
)]

mod admin;
mod authored;
mod burst;
mod capabilities;
mod code_cache;
mod coverage;
mod delivery;
mod deploy;
mod egress;
mod evidence;
mod exposition;
mod health;
mod hostile;
mod http;
mod identity;
mod isolation;
mod letters;
mod lifecycle;
mod log;
mod logs;
mod metrics;
mod mirror;
mod model;
mod operations;
mod output;
mod promql;
mod promtool;
mod push;
mod refusals;
mod remembered;
mod reorgs;
mod rooms;
mod rpc;
mod schedules;
mod servers;
mod status_page;
mod transactions;
mod upgrades;
mod wallet;
mod watch;
mod world;

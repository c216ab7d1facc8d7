//! What the engine tells of itself and its modules, over HTTP: metrics, health, the status page.
//!
//! All of it is read, when somebody asks, from what the modules' [status boards] and the chains
//! count anyway. It is served by a thread of its own, so that no busy guest delays an answer, and
//! it changes nothing: there is no request here that does.
//!
//! [status boards]: crate::status::StatusBoard

mod guard;
mod health;
mod look;
mod metrics;
mod page;
mod probes;
mod roster;
mod server;

pub(crate) use health::shortened;
pub use health::{ChainHealth, ChainLag, EndpointHealth, HealthReport, HealthStatus, ModuleHealth};
pub(crate) use look::ChainLook;
pub use metrics::metrics_reference;
pub use page::{LogReport, ModuleLetter, ModulePace, NumberedLine, StatusReport};
pub(crate) use roster::Roster;
pub use server::Addresses;
pub(crate) use server::{Listeners, Server};

//! The engine: loads modules, routes the feeds to them, and keeps them running.
//!
//! [`Engine`] is the facade. One event goes one way: feed, route, worker, call, commit. There is
//! no loop that all modules share: each module's worker pulls from the feeds at its own pace.

mod delivery;
mod engine;
mod inlet;
mod lifecycle;
mod load;
mod route;
mod status;
mod worker;

pub use engine::{Engine, StartError, Stopped};
pub use lifecycle::Phase;
pub use load::check;
pub use status::ModuleStatus;

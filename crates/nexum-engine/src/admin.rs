//! The admin API: HTTP/1.1 with JSON on a Unix socket in the `state_dir`, which only the engine's
//! own user can open. Whoever can use it can do everything that an operator can; nobody else can
//! connect.
//!
//! A client that says nothing, or too much, loses its connection and holds nothing up.

mod logs;
mod routes;
mod server;

pub use server::AdminError;
pub(crate) use server::{AdminServer, AdminSocket};

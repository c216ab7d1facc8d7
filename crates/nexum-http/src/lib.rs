//! Modules' requests to servers outside: `nexum:host/http`, from a module's request to a response
//! or a typed failure.
//!
//! [`Egress`] is what all modules share: settings, limits, credentials. [`ModuleHttp`] is one
//! module's way through it, over connections of its own, and implements the port of `nexum-types`.
//! A request is held against what the module and the operator allow (`grants`), the address that is
//! dialled against what it may be (`address`, `lookup`), on every hop anew.
//!
//! Nothing here is kept on disk, no cookie is remembered, no proxy of the environment is used, and
//! no text of a server or a library gets into an error.

mod address;
mod body;
mod connections;
mod credentials;
mod egress;
mod exchange;
mod failure;
mod grants;
mod lookup;
mod message;
mod turns;

pub use egress::{Egress, HttpSetupError, ModuleHttp};
pub use grants::Grants;
pub use lookup::{Looked, Lookup};

//! The two files, as their authors and operators write them: what is taken, what is refused, and
//! what the refusal says.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test sets up must succeed, and the panic says where it did not"
)]

mod any_text;
mod bundles;
mod chains;
mod check;
mod engine_file;
mod http;
mod identity;
mod log_filters;
mod module_file;
mod observability;
mod schedules;
mod schema;
mod secrets;
mod subscriptions;
mod transactions;

//! The store as its users meet it: on real files, and on a disk that fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crash;
mod dir;
mod disk;
mod inspect;
mod ledger;
mod letters;
mod state;
mod world;

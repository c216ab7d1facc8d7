//! Keystores as others write them, signatures as others make them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cast;
mod folder;
mod formats;
mod keystores;
mod modules;
mod outside;
mod remote;
mod sending;
mod tending;
mod typed_data;

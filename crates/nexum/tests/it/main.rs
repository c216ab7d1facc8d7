//! The real binary, as an operator meets it: files in a folder, a node on a port, signals, exit
//! codes, and what is printed.
//!
//! [`folder`], [`engine`], [`node`], [`money`], [`terminal`], [`browser`] and [`page_server`] set the
//! stage; every other module has one subject.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod browser;
mod code_cache;
mod credentials;
mod engine;
mod fee_guard;
mod folder;
mod guide;
mod help;
mod inspect;
mod keystore;
mod kill;
mod money;
mod newcomer;
mod node;
mod operate;
mod page_server;
mod policy;
mod probes;
mod prompts;
mod quickstart;
mod refusals;
mod resync;
mod secrets;
mod sending;
mod signals;
mod signing;
mod status_page;
mod terminal;

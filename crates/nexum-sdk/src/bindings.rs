//! The contract as `wit-bindgen` writes it: the raw interfaces, and the macro that exports a
//! module. Everything here is generated.
//!
//! These imports exist in a component alone; natively they abort. The modules of this crate named
//! as the interfaces are the same functions for both.

#![expect(missing_docs, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    path: "../../wit/nexum-host",
    world: "event-module",
    pub_export_macro: true,
    export_macro_name: "__export_event_module",
    default_bindings_module: "nexum_sdk::bindings",
});

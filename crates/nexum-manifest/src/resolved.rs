//! What the rest of the program sees: values that have been parsed, checked and completed.

mod engine;
mod module;

pub use engine::*;
pub use module::*;

//! The macros as authors meet them.

mod dispatch;

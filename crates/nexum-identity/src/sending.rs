//! Transactions: built under the operator's rules, signed, kept on the disk before anybody else
//! sees them, and handed to the chain until their fate is known.
//!
//! What has been signed is never signed anew in another form as long as the first could still land:
//! a nonce is given to one transaction, and to another only where the chain refused the first, so
//! that at most one of the two can ever land.

mod book;
mod fees;
mod making;
mod outlook;
mod rules;
mod sender;
mod tend;
mod transaction;

pub use sender::{AccountTally, Sender};
pub use transaction::Transaction;

pub(crate) use rules::{Ceilings, OverCeiling, check};
pub(crate) use sender::Order;

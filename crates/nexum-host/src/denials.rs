//! What a module is denied while it runs, told in the log once for each cause: an operator reads
//! what to change, and a guest that asks again and again fills no log.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use nexum_types::ModuleName;

use crate::logging::printable;

/// Causes are the guest's words, so there is an end of them.
const MAX_CAUSES: usize = 64;

/// The causes that one module's log has told.
#[derive(Debug)]
pub(crate) struct Denials {
    module: ModuleName,
    told: Mutex<BTreeSet<String>>,
}

impl Denials {
    pub(crate) fn new(module: ModuleName) -> Self {
        Self {
            module,
            told: Mutex::default(),
        }
    }

    /// The module's name.
    pub(crate) fn module(&self) -> &ModuleName {
        &self.module
    }

    /// Tells that `what` was denied, and what to do about it, unless that has been told.
    pub(crate) fn tell(&self, what: &str, remedy: &str) {
        let what = printable(what);
        let is_last = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() >= MAX_CAUSES || !told.insert(what.clone()) {
                return;
            }
            told.len() == MAX_CAUSES
        };
        tracing::warn!(module = %self.module, denied = what, "{remedy}");
        if is_last {
            tracing::warn!(
                module = %self.module,
                "so much has been denied to the module that further causes are only counted"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_end_of_what_is_remembered() {
        let denials = Denials::new("x".parse().unwrap());
        for n in 0..1_000 {
            denials.tell(&format!("method {n}"), "no");
            denials.tell(&format!("method {n}"), "no");
        }
        assert_eq!(denials.told.lock().unwrap().len(), MAX_CAUSES);
    }
}

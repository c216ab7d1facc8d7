//! What is wrong with a configuration: every problem at once.

use std::fmt;

use crate::HostError;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The key, with dots where it is in a table.
    pub key: String,
    /// What was found and what is wanted: the rest of the sentence that the key begins.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`{}", self.key, self.message)
    }
}

/// Everything that is wrong with a configuration, at least one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub(super) Vec<ConfigProblem>);

impl ConfigErrors {
    /// The problems: those of fields in the order of the fields, then keys that no field has.
    pub fn problems(&self) -> impl ExactSizeIterator<Item = &ConfigProblem> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    /// All on one line, as the engine's log shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigErrors> for HostError {
    /// `invalid-input` in the domain `config`, with the keys as data, a blank between two.
    fn from(errors: ConfigErrors) -> Self {
        let keys: Vec<_> = errors.problems().map(|problem| &*problem.key).collect();
        let error = Self::invalid_input(errors.to_string()).in_domain("config");
        Self {
            data: Some(keys.join(" ")),
            ..error
        }
    }
}

//! Newtypes for what is named at every boundary.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The name of a module, and the identity of its state.
///
/// `[a-z0-9-]`, 1 to 64 characters, so that it can be a file name on every system without
/// escaping. A value of this type has passed that check.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModuleName(Box<str>);

impl ModuleName {
    /// The longest name, in characters.
    pub const MAX_LEN: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no [`ModuleName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidModuleName {
    /// The text is empty.
    #[error("a module name cannot be empty")]
    Empty,
    /// The text is longer than [`ModuleName::MAX_LEN`].
    #[error("a module name has at most {max} characters, this one has {0}", max = ModuleName::MAX_LEN)]
    TooLong(usize),
    /// The text has a character outside `[a-z0-9-]`.
    #[error("a module name is made of a-z, 0-9 and '-', and {0:?} is none of them")]
    Character(char),
}

impl FromStr for ModuleName {
    type Err = InvalidModuleName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(InvalidModuleName::Empty);
        }
        let foreign = |c: &char| !matches!(c, 'a'..='z' | '0'..='9' | '-');
        if let Some(c) = text.chars().find(foreign) {
            return Err(InvalidModuleName::Character(c));
        }
        if text.len() > Self::MAX_LEN {
            return Err(InvalidModuleName::TooLong(text.len()));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for ModuleName {
    type Error = InvalidModuleName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ModuleName> for String {
    fn from(name: ModuleName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<u64> for $name {
            fn from(value: u64) -> Self {
                Self(value)
            }
        }
    };
}

number! {
    /// The id of a chain, as `eth_chainId` answers it (EIP-155).
    ChainId
}

number! {
    /// The height of a block on its chain.
    BlockNumber
}

impl BlockNumber {
    /// The number of the block after this one.
    ///
    /// Saturates at the end of the number space, which no chain reaches.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_folder_are_no_names() {
        let parse = |text: &str| text.parse::<ModuleName>();
        assert_eq!(parse("price-alert-2").unwrap().as_str(), "price-alert-2");
        assert_eq!(parse(&"a".repeat(64)).unwrap().as_str().len(), 64);
        assert_eq!(parse(""), Err(InvalidModuleName::Empty));
        assert_eq!(parse(&"a".repeat(65)), Err(InvalidModuleName::TooLong(65)));
        assert_eq!(parse("../escape"), Err(InvalidModuleName::Character('.')));
        assert_eq!(parse("Upper"), Err(InvalidModuleName::Character('U')));
        assert_eq!(parse("umlaut-ä"), Err(InvalidModuleName::Character('ä')));
    }
}

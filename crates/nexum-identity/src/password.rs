//! The password of a keystore, which nobody gets to see.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// A password. Its memory is overwritten when it is dropped, and its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// That text, as it is.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// What a file has. A newline at its end does not count, as with the secrets that the
    /// operator's file names.
    #[must_use]
    pub fn of_file(text: &str) -> Self {
        let line = text
            .strip_suffix('\n')
            .map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        Self::new(line.to_owned())
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both are the same. For a person who types one twice, not for an attacker's guess.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }

    /// As Web3 Secret Storage takes it: the bytes of the text.
    pub(crate) fn raw(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.as_bytes().to_vec())
    }

    /// As EIP-2335 takes it: in NFKD, without control codes (C0, C1 and delete), in UTF-8.
    pub(crate) fn normalised(&self) -> Zeroizing<Vec<u8>> {
        // Decomposed text is at most 18 times as long: nothing is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(self.0.len() * 18));
        text.extend(self.0.nfkd().filter(|c| !c.is_control()));
        Zeroizing::new(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let password = Password::new("hunter2".into());
        assert_eq!(
            format!("{password:?} {password:#?}"),
            "Password(***) Password(***)"
        );
    }

    #[test]
    fn a_newline_at_the_end_of_a_file_does_not_count() {
        for text in ["pass word\n", "pass word\r\n", "pass word"] {
            assert!(Password::of_file(text).is(&Password::new("pass word".into())));
        }
        let inside = Password::of_file("pass\nword\n\n");
        assert!(inside.is(&Password::new("pass\nword\n".into())));
    }

    #[test]
    fn control_codes_go_and_letters_are_decomposed() {
        // The example of EIP-2335.
        let fancy = "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑";
        let bytes = Password::new(format!("\u{7}{fancy}\u{7f}\u{85}")).normalised();
        assert_eq!(hex::encode(&*bytes), "7465737470617373776f7264f09f9491");
    }
}

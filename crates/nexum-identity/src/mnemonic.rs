//! From the words of BIP-39 to a key, by BIP-32.

use bip32::{DerivationPath, XPrv};
use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

use crate::{InvalidKey, Key};

/// The first account of Ethereum (BIP-44, coin 60), where most wallets begin.
pub const DEFAULT_PATH: &str = "m/44'/60'/0'/0/0";

/// Why words make no key. No word is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MnemonicError {
    /// There are too many or too few of them.
    #[error("a mnemonic has 12, 15, 18, 21 or 24 words, and this one has {0}")]
    Count(usize),
    /// One is not in the list.
    #[error("word {0} is not in the English list of BIP-39")]
    Word(usize),
    /// All are in the list, and do not belong together.
    #[error("the checksum of the words is wrong: one of them is not what it was, or their order")]
    Checksum,
    /// The path is not one.
    #[error("`{0}` is no derivation path; one is {DEFAULT_PATH}")]
    Path(String),
    /// The path leads to no key, which happens once in 2^127 times.
    #[error("there is no key at that path: {0}")]
    Key(InvalidKey),
}

/// The key at `path`, such as [`DEFAULT_PATH`], of the English words `words` under `passphrase`,
/// which may be empty.
pub fn key_of_mnemonic(words: &str, passphrase: &str, path: &str) -> Result<Key, MnemonicError> {
    let path: DerivationPath = path
        .parse()
        .map_err(|_| MnemonicError::Path(path.to_owned()))?;
    let mnemonic = Mnemonic::parse_in(Language::English, words.trim()).map_err(told)?;
    let seed = Zeroizing::new(mnemonic.to_seed(passphrase));
    let derived = XPrv::derive_from_path(seed.as_slice(), &path);
    let derived = derived.map_err(|_| MnemonicError::Key(InvalidKey::Range))?;
    let bytes = Zeroizing::new(derived.private_key().to_bytes().into());
    Key::from_bytes(&bytes).map_err(MnemonicError::Key)
}

fn told(error: bip39::Error) -> MnemonicError {
    match error {
        bip39::Error::BadWordCount(count) => MnemonicError::Count(count),
        bip39::Error::UnknownWord(index) => MnemonicError::Word(index + 1),
        _ => MnemonicError::Checksum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mnemonic of anvil and hardhat, which everyone knows.
    const WORDS: &str = "test test test test test test test test test test test junk";

    fn address(words: &str, passphrase: &str, path: &str) -> Result<String, MnemonicError> {
        key_of_mnemonic(words, passphrase, path).map(|key| key.address().to_string())
    }

    #[test]
    fn words_and_a_path_make_the_account_that_every_wallet_makes() {
        let account = |path| address(WORDS, "", path).unwrap();
        assert_eq!(
            account(DEFAULT_PATH),
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        );
        assert_eq!(
            account("m/44'/60'/0'/0/1"),
            "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
        );
        assert_ne!(
            address(WORDS, "more", DEFAULT_PATH).unwrap(),
            account(DEFAULT_PATH)
        );
    }

    #[test]
    fn what_makes_no_key_is_told_without_a_word_of_it() {
        let words = |count: usize| vec!["test"; count].join(" ");
        for (text, error) in [
            (words(11), MnemonicError::Count(11)),
            (words(12), MnemonicError::Checksum),
            (
                WORDS.replace("junk", "secret-word"),
                MnemonicError::Word(12),
            ),
        ] {
            let found = address(&text, "", DEFAULT_PATH).unwrap_err();
            assert_eq!(found, error);
            assert!(!found.to_string().contains("secret-word"));
        }
        let path = address(WORDS, "", "m/44x").unwrap_err();
        assert_eq!(path, MnemonicError::Path("m/44x".into()));
    }
}

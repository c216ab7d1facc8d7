//! AES-128 in counter mode, which both formats have, and their checksums.

use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use alloy_primitives::Keccak256;
use sha2::{Digest as _, Sha256};

use super::kdf::Derived;

type Aes128Ctr = ctr::Ctr128BE<aes::Aes128>;

pub(super) type Iv = [u8; 16];

/// Encrypts or decrypts in place, which is the same.
pub(super) fn apply(derived: &Derived, iv: &Iv, text: &mut [u8]) {
    let mut key = [0; 16];
    key.copy_from_slice(&derived[..16]);
    Aes128Ctr::new(&key.into(), iv.into()).apply_keystream(text);
    zeroize::Zeroize::zeroize(&mut key);
}

/// How a format tells that the password was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checksum {
    /// Keccak-256, of Web3 Secret Storage.
    Keccak,
    /// SHA-256, of EIP-2335.
    Sha256,
}

impl Checksum {
    /// Over the second half of what was derived and the encrypted text.
    pub(super) fn of(self, derived: &Derived, encrypted: &[u8]) -> [u8; 32] {
        match self {
            Self::Keccak => {
                let mut hasher = Keccak256::new();
                hasher.update(&derived[16..]);
                hasher.update(encrypted);
                hasher.finalize().0
            }
            Self::Sha256 => {
                let hasher = Sha256::new().chain_update(&derived[16..]);
                hasher.chain_update(encrypted).finalize().into()
            }
        }
    }
}

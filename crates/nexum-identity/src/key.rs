//! A private key of secp256k1 and what it signs.

use std::fmt;

use alloy_primitives::{B256, Signature};
use k256::ecdsa::SigningKey;
use nexum_types::Address;
use rand::{TryRngCore as _, rngs::OsRng};
use zeroize::Zeroizing;

/// A private key. Its memory is overwritten when it is dropped, and its `Debug` shows the address.
#[derive(Clone)]
pub struct Key {
    key: SigningKey,
    address: Address,
}

/// A number that is no private key. It is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The text is not hexadecimal of the right length.
    #[error("a private key is 64 hex digits, with or without 0x before them")]
    Text,
    /// Zero, or not below the curve's order.
    #[error("the number is no private key of secp256k1: it is zero, or too large")]
    Range,
}

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system has no random bytes to give: {0}")]
pub struct NoRandomness(String);

/// Random bytes of the system's.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    let filled = OsRng.try_fill_bytes(bytes);
    filled.map_err(|error| NoRandomness(error.to_string()))
}

impl Key {
    /// A new key, of the system's randomness.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0; 32]);
        loop {
            fill_random(&mut *bytes)?;
            // Fails once in 2^128 times.
            if let Ok(key) = Self::from_bytes(&bytes) {
                return Ok(key);
            }
        }
    }

    /// The key that is that number, in 32 bytes, big-endian.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, InvalidKey> {
        let key = SigningKey::from_slice(bytes).map_err(|_| InvalidKey::Range)?;
        let address = Address::from_public_key(key.verifying_key());
        Ok(Self { key, address })
    }

    /// The key that is that number, in 64 hex digits.
    pub fn from_hex(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, &mut *bytes).map_err(|_| InvalidKey::Text)?;
        Self::from_bytes(&bytes)
    }

    /// The address of its account.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// The number.
    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes().into())
    }

    /// Whether a public key in SEC1 form (33 or 65 bytes), or in 64 bytes, is this one's.
    pub(crate) fn has_public_key(&self, bytes: &[u8]) -> bool {
        let point = |compressed| self.key.verifying_key().to_encoded_point(compressed);
        let whole = point(false);
        bytes == point(true).as_bytes()
            || bytes == whole.as_bytes()
            || bytes == &whole.as_bytes()[1..]
    }

    /// Signs a hash, with s in the lower half of the curve's order (EIP-2), deterministically
    /// (RFC 6979). What the hash is of is for the caller to know: this is not for modules.
    pub(crate) fn sign_hash(&self, hash: &B256) -> Result<Signature, k256::ecdsa::Error> {
        let (signature, parity) = self.key.sign_prehash_recoverable(hash.as_slice())?;
        Ok(Signature::from((signature, parity)))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    #[test]
    fn what_holds_a_key_overwrites_it_when_it_goes() {
        fn overwrites<T: ZeroizeOnDrop>() {}
        overwrites::<SigningKey>();
        overwrites::<Zeroizing<[u8; 32]>>();
    }

    /// The first key of anvil and hardhat, which everyone knows.
    const KNOWN: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    #[test]
    fn a_key_has_its_address_and_is_not_shown() {
        let key = Key::from_hex(&format!("0x{KNOWN}\n")).unwrap();
        let address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        assert_eq!(key.address().to_string(), address);
        assert_eq!(
            format!("{key:?} {key:#?}"),
            format!("Key({address}) Key({address})")
        );
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_told() {
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        let zero = "00".repeat(32);
        for (text, error) in [
            (order, InvalidKey::Range),
            (zero.as_str(), InvalidKey::Range),
            (&KNOWN[2..], InvalidKey::Text),
            ("not a key", InvalidKey::Text),
            ("", InvalidKey::Text),
        ] {
            let found = Key::from_hex(text).unwrap_err();
            assert_eq!(found, error);
            assert!(text.is_empty() || !found.to_string().contains(text));
        }
    }

    #[test]
    fn a_signature_tells_the_account_and_has_one_form() {
        let key = Key::from_hex(KNOWN).unwrap();
        let hash = alloy_primitives::keccak256("anything");
        let signature = key.sign_hash(&hash).unwrap();
        assert_eq!(
            signature.recover_address_from_prehash(&hash).unwrap(),
            key.address()
        );
        assert!(signature.normalize_s().is_none(), "s is in the lower half");
        assert!(matches!(signature.as_bytes()[64], 27 | 28));
    }
}

//! The port to whatever holds keys, and the forms that it signs.

use alloy_primitives::{Signature, eip191_hash_message};
use nexum_types::{Address, B256, BoxFuture};

use crate::{Transaction, TypedData};

/// What is signed. A new form is a variant here, and every signer says what it does with it.
#[derive(Debug, Clone, Copy)]
pub enum ToSign<'a> {
    /// A message, with the prefix of EIP-191, version 0x45, before it.
    Message(&'a [u8]),
    /// Typed data (EIP-712).
    TypedData(&'a TypedData),
    /// A transaction (EIP-1559) that the operator's rules allow.
    Transaction(&'a Transaction),
}

impl ToSign<'_> {
    /// The hash over which the signature is.
    #[must_use]
    pub fn digest(&self) -> B256 {
        match self {
            Self::Message(message) => eip191_hash_message(message),
            Self::TypedData(data) => data.digest(),
            Self::Transaction(transaction) => transaction.digest(),
        }
    }
}

/// Holds keys and signs with them: a folder of keystores, a remote signer.
pub trait Signer: Send + Sync + 'static {
    /// Signs with one of its accounts. Whether somebody may is not its question. The caller makes
    /// sure that the signature is the account's.
    fn sign<'a>(
        &'a self,
        account: Address,
        what: ToSign<'a>,
    ) -> BoxFuture<'a, Result<Signature, SignError>>;
}

/// Why there is no signature. Tells no path and nothing of a signer's own words: it reaches
/// modules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Its keystore does not open.
    #[error("the keystore of {0} is locked: its operator reads why in the engine's log")]
    Locked(Address),
    /// The signer has no such account.
    #[error("the signer has no account {0}")]
    NoAccount(Address),
    /// A remote signer is out of reach, or has no time.
    #[error("the remote signer is out of reach: {0}")]
    Unreachable(&'static str),
    /// A remote signer does not sign it.
    #[error("the remote signer refuses, with code {0}")]
    Refused(i64),
    /// What came back is not a signature of the account over what was to be signed.
    #[error("what the signer answered is no signature of {0} over what was to be signed")]
    NotItsSignature(Address),
    /// The work was cut off.
    #[error("signing was cut off")]
    CutOff,
}

/// The one form of a signature that is handed out, if it is the account's over that digest.
pub(crate) fn checked(
    signature: Signature,
    account: Address,
    digest: &B256,
) -> Result<Signature, SignError> {
    let signature = signature.normalized_s();
    match signature.recover_address_from_prehash(digest) {
        Ok(found) if found == account => Ok(signature),
        _ => Err(SignError::NotItsSignature(account)),
    }
}

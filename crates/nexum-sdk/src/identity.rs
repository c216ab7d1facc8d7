//! The interface `identity`: signatures by accounts that the operator keeps. The module never
//! sees a key, and nothing signs raw bytes or a bare hash.
//!
//! Every error has the domain `identity`.

use alloy_primitives::{Address, Signature};
use serde::Serialize;

use crate::{Context, Result, host};

/// The accounts that this module may use, in the operator's order. May be empty.
pub fn accounts() -> Result<Vec<Address>> {
    host::with(|host| host.accounts())
}

/// Signs with one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signer {
    address: Address,
}

impl Signer {
    /// Signs with the first of the accounts that the operator gave this module.
    pub fn first() -> Result<Self> {
        let account = accounts()?.into_iter().next();
        let address = account.context("the operator gave this module no account to sign with")?;
        Ok(Self { address })
    }

    /// Signs with that account. Whether the module may is told by the first signature.
    #[must_use]
    pub fn of(address: Address) -> Self {
        Self { address }
    }

    /// The account.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs `message` as `personal_sign` does (EIP-191, version 0x45).
    pub fn sign_message(&self, message: impl AsRef<[u8]>) -> Result<Signature> {
        let signature = host::with(|host| host.sign(self.address, message.as_ref()))?;
        host::signature(&signature)
    }

    /// Signs typed data (EIP-712): an object with `types`, `primaryType`, `domain` and `message`,
    /// as `eth_signTypedData_v4` takes it.
    pub fn sign_typed_data(&self, data: &impl Serialize) -> Result<Signature> {
        let json = serde_json::to_string(data)?;
        let signature = host::with(|host| host.sign_typed_data(self.address, &json))?;
        host::signature(&signature)
    }
}

//! Accounts whose keys everyone knows, and real signatures with them.

use alloy_dyn_abi::TypedData;
use alloy_primitives::{Address, B256, Signature, eip191_hash_message};
use k256::ecdsa::SigningKey;

use crate::{HostError, HostErrorKind, Result};

/// The accounts of the module, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    keys: Vec<(Address, SigningKey)>,
}

impl Accounts {
    /// Adds the account whose key is the number of accounts with it.
    pub(super) fn add(&mut self) -> Address {
        let number = alloy_primitives::U256::from(self.keys.len() + 1);
        let key = match SigningKey::from_slice(&number.to_be_bytes::<32>()) {
            Ok(key) => key,
            Err(error) => panic!("every small number is a key: {error}"),
        };
        let address = Address::from_public_key(key.verifying_key());
        self.keys.push((address, key));
        address
    }

    pub(super) fn addresses(&self) -> Vec<Address> {
        self.keys.iter().map(|(address, _)| *address).collect()
    }

    pub(super) fn sign_message(&self, account: Address, message: &[u8]) -> Result<Vec<u8>> {
        self.sign(account, eip191_hash_message(message))
    }

    pub(super) fn sign_typed_data(&self, account: Address, json: &str) -> Result<Vec<u8>> {
        let malformed = |error: &dyn std::fmt::Display| {
            HostError::invalid_input(format!("the typed data: {error}")).in_domain("identity")
        };
        let data: TypedData = serde_json::from_str(json).map_err(|error| malformed(&error))?;
        let hash = data
            .eip712_signing_hash()
            .map_err(|error| malformed(&error))?;
        self.sign(account, hash)
    }

    /// Denies an account that is none of these.
    pub(super) fn check(&self, account: Address) -> Result<()> {
        self.key(account).map(drop)
    }

    fn key(&self, account: Address) -> Result<&SigningKey> {
        let key = self.keys.iter().find(|(address, _)| *address == account);
        let key = key.map(|(_, key)| key);
        key.ok_or_else(|| {
            let message = format!(
                "{account} is not one of the module's accounts; add it to the host with add_account"
            );
            HostError::new(HostErrorKind::Denied, message).in_domain("identity")
        })
    }

    fn sign(&self, account: Address, hash: B256) -> Result<Vec<u8>> {
        let signature = self
            .key(account)?
            .sign_prehash_recoverable(hash.as_slice())
            .map_err(|error| {
                HostError::internal(format!("no signature: {error}")).in_domain("identity")
            })?;
        Ok(Signature::from(signature).as_bytes().to_vec())
    }
}

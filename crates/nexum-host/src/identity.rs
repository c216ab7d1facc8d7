//! `nexum:host/identity`: signatures by the accounts that the operator gives the module.

use nexum_manifest::{Capability, IdentityMethod};
use nexum_types::{Address, Bytes, HostError, HostErrorKind};

use crate::{bindings, guest::Guest, trace::Asked};

const DOMAIN: &str = "identity";

type Answer<T> = wasmtime::Result<Result<T, bindings::types::HostError>>;

impl bindings::identity::Host for Guest {
    fn accounts(&mut self) -> Answer<Vec<Vec<u8>>> {
        let began = self.begins();
        let answer = self.identity.accounts();
        self.asked_identity(IdentityMethod::Accounts, &answer);
        let call = (Capability::Identity, IdentityMethod::Accounts.as_str());
        self.ended(began, call, || Asked::Nothing, &answer);
        let bytes = |accounts: Vec<Address>| accounts.iter().map(|it| it.to_vec()).collect();
        Ok(answer.map(bytes).map_err(Into::into))
    }

    async fn sign(&mut self, account: Vec<u8>, message: Vec<u8>) -> Answer<Vec<u8>> {
        let began = self.begins();
        let event = self.log.event();
        let answer = match address(&account) {
            Ok(account) => self.identity.sign(account, &message, event).await,
            Err(error) => Err(error),
        };
        let length = message.len();
        self.signed(began, IdentityMethod::Sign, (&account, length), answer)
    }

    async fn sign_typed_data(&mut self, account: Vec<u8>, json: String) -> Answer<Vec<u8>> {
        let began = self.begins();
        let event = self.log.event();
        let answer = match address(&account) {
            Ok(account) => self.identity.sign_typed_data(account, &json, event).await,
            Err(error) => Err(error),
        };
        let asked = (account.as_slice(), json.len());
        self.signed(began, IdentityMethod::SignTypedData, asked, answer)
    }
}

impl Guest {
    fn signed(
        &mut self,
        began: Option<std::time::Instant>,
        method: IdentityMethod,
        (account, length): (&[u8], usize),
        answer: Result<Bytes, HostError>,
    ) -> Answer<Vec<u8>> {
        if answer.is_ok() {
            // It cannot be taken back: whoever has it can use it.
            self.had_effect = true;
            self.usage.signed(method);
        }
        self.asked_identity(method, &answer);
        let asked = || Asked::ToSign(Bytes::copy_from_slice(account), length);
        self.ended(
            began,
            (Capability::Identity, method.as_str()),
            asked,
            &answer,
        );
        Ok(answer.map(Into::into).map_err(Into::into))
    }

    /// Counts and tells what was denied.
    pub(crate) fn asked_identity<T>(&self, method: IdentityMethod, answer: &Result<T, HostError>) {
        self.usage.answered(Capability::Identity, answer);
        if let Err(error) = answer
            && error.kind == HostErrorKind::Denied
        {
            self.denials
                .tell(&format!("identity.{method}"), &error.message);
        }
    }
}

fn address(bytes: &[u8]) -> Result<Address, HostError> {
    Address::try_from(bytes).map_err(|_| {
        let message = format!("an account has 20 bytes, and this has {}", bytes.len());
        HostError::new(DOMAIN, HostErrorKind::InvalidInput, message)
    })
}

//! Which module may sign what with which account, and the audit of what it has signed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use nexum_manifest::IdentityMethod;
use nexum_types::{
    Address, BoxFuture, Bytes, ChainId, EventId, HostError, HostErrorKind, IdentityAccess,
    ModuleName,
};

use crate::{SignError, Signer, ToSign, TypedData, signer::checked};

/// The longest message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

const DOMAIN: &str = "identity";

/// What one module may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The accounts that it may use, in the operator's order.
    pub accounts: Vec<Address>,
    /// What its manifest names of what it can do.
    pub asked: BTreeSet<IdentityMethod>,
    /// What the operator lets it do of that; `None`: all.
    pub allowed: Option<BTreeSet<IdentityMethod>>,
    /// The chains for whose contracts it may sign.
    pub chains: BTreeSet<ChainId>,
}

/// Every account, with what signs for it.
#[derive(Clone, Default)]
pub struct Accounts(Arc<BTreeMap<Address, Arc<dyn Signer>>>);

impl Accounts {
    /// Those, each with what signs for it.
    pub fn new(accounts: impl IntoIterator<Item = (Address, Arc<dyn Signer>)>) -> Self {
        Self(Arc::new(accounts.into_iter().collect()))
    }

    /// Whether there is that one.
    #[must_use]
    pub fn has(&self, account: &Address) -> bool {
        self.0.contains_key(account)
    }

    /// What a module sees of them.
    #[must_use]
    pub fn of_module(&self, module: ModuleName, grant: Grant) -> ModuleAccounts {
        ModuleAccounts {
            accounts: self.clone(),
            module,
            grant,
        }
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The accounts of one module.
#[derive(Debug)]
pub struct ModuleAccounts {
    accounts: Accounts,
    module: ModuleName,
    grant: Grant,
}

impl ModuleAccounts {
    fn check(&self, method: IdentityMethod) -> Result<(), HostError> {
        if !self.grant.asked.contains(&method) {
            return Err(denied(format!(
                "add \"{method}\" to `methods` under [capabilities.identity] in nexum.toml to use \
                 it"
            )));
        }
        match &self.grant.allowed {
            Some(allowed) if !allowed.contains(&method) => Err(denied(format!(
                "the operator does not let the module {method}"
            ))),
            _ => Ok(()),
        }
    }

    fn signer(&self, account: Address) -> Result<&Arc<dyn Signer>, HostError> {
        let is_its = self.grant.accounts.contains(&account);
        let signer = self.accounts.0.get(&account).filter(|_| is_its);
        signer.ok_or_else(|| denied(format!("{account} is not one of the module's accounts")))
    }

    async fn signed(
        &self,
        signer: &dyn Signer,
        account: Address,
        (method, what): (IdentityMethod, ToSign<'_>),
        event: Option<EventId>,
    ) -> Result<Bytes, HostError> {
        let digest = what.digest();
        let signed = signer.sign(account, what).await;
        let signed = signed.and_then(|signature| checked(signature, account, &digest));
        let module = &self.module;
        let event = event.map_or_else(|| "init".to_owned(), |event| event.to_string());
        match signed {
            Ok(signature) => {
                tracing::info!(%module, %account, %method, %digest, event, "signed");
                Ok(signature.as_bytes().to_vec().into())
            }
            Err(error) => {
                tracing::warn!(%module, %account, %method, %digest, event, "not signed: {error}");
                Err(failed(&error))
            }
        }
    }
}

impl IdentityAccess for ModuleAccounts {
    fn accounts(&self) -> Result<Vec<Address>, HostError> {
        self.check(IdentityMethod::Accounts)?;
        Ok(self.grant.accounts.clone())
    }

    fn sign<'a>(
        &'a self,
        account: Address,
        message: &'a [u8],
        event: Option<EventId>,
    ) -> BoxFuture<'a, Result<Bytes, HostError>> {
        Box::pin(async move {
            self.check(IdentityMethod::Sign)?;
            let signer = self.signer(account)?;
            if message.len() > MAX_MESSAGE_BYTES {
                return Err(invalid(format!(
                    "a message has at most {MAX_MESSAGE_BYTES} bytes, and this has {}",
                    message.len()
                )));
            }
            let what = (IdentityMethod::Sign, ToSign::Message(message));
            self.signed(&**signer, account, what, event).await
        })
    }

    fn sign_typed_data<'a>(
        &'a self,
        account: Address,
        json: &'a str,
        event: Option<EventId>,
    ) -> BoxFuture<'a, Result<Bytes, HostError>> {
        Box::pin(async move {
            self.check(IdentityMethod::SignTypedData)?;
            let signer = self.signer(account)?;
            let text = json.to_owned();
            let parsed = tokio::task::spawn_blocking(move || TypedData::parse(&text)).await;
            let data = parsed.map_err(|_| failed(&SignError::CutOff))?;
            let data = data.map_err(|error| invalid(error.to_string()))?;
            if let Some(chain) = data.chain()
                && !self.grant.chains.contains(&chain)
            {
                return Err(denied(format!(
                    "the domain is of chain {chain}, which is none of the module's: add it to \
                     `required` under [chains] in nexum.toml"
                )));
            }
            let what = (IdentityMethod::SignTypedData, ToSign::TypedData(&data));
            self.signed(&**signer, account, what, event).await
        })
    }
}

fn denied(message: String) -> HostError {
    HostError::new(DOMAIN, HostErrorKind::Denied, message)
}

fn invalid(message: String) -> HostError {
    HostError::new(DOMAIN, HostErrorKind::InvalidInput, message)
}

fn failed(error: &SignError) -> HostError {
    let kind = match error {
        SignError::Locked(_)
        | SignError::NoAccount(_)
        | SignError::Unreachable(_)
        | SignError::Refused(_) => HostErrorKind::Unavailable,
        SignError::NotItsSignature(_) | SignError::CutOff => HostErrorKind::Internal,
    };
    HostError::new(DOMAIN, kind, error.to_string())
}

//! Which module may sign what with which account, and the audit of what it has signed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use nexum_manifest::{IdentityMethod, Rate, TransactionRule};
use nexum_types::{
    Address, AskedTransaction, B256, BoxFuture, Bytes, ChainId, ChainRpc, EventId, HostError,
    HostErrorKind, IdentityAccess, ModuleName, SendOf, Sent, Turns,
};
use tokio::time::sleep_until;

use crate::{
    Sender, SignError, Signer, ToSign, TypedData,
    sending::{Ceilings, Order, OverCeiling, check as check_asked},
    signer::checked,
};

/// The longest message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

const DOMAIN: &str = "identity";
/// How long a signature waits for its turn before it is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What one module may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The accounts that it may use, in the operator's order.
    pub accounts: Vec<Address>,
    /// What its manifest names of what it can do.
    pub asked: BTreeSet<IdentityMethod>,
    /// What the operator lets it do of that; `None`: all.
    pub allowed: Option<BTreeSet<IdentityMethod>>,
    /// The chains for whose contracts it may sign.
    pub chains: BTreeSet<ChainId>,
    /// What the operator lets it send.
    pub transactions: Vec<TransactionRule>,
    /// How many signatures it may ask for.
    pub rate: Rate,
}

/// Of a module that has no account.
impl Default for Grant {
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            asked: BTreeSet::new(),
            allowed: None,
            chains: BTreeSet::new(),
            transactions: Vec::new(),
            rate: Rate {
                per_second: 1,
                burst: 1,
            },
        }
    }
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
            turns: Turns::new(grant.rate.per_second, grant.rate.burst),
            accounts: self.clone(),
            module,
            grant,
            sending: None,
        }
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The accounts of one module.
pub struct ModuleAccounts {
    accounts: Accounts,
    module: ModuleName,
    grant: Grant,
    turns: Turns,
    sending: Option<Sending>,
}

/// What a module's transactions go through.
struct Sending {
    sender: Sender,
    /// The module's own port, at its own rate.
    reads: Arc<dyn ChainRpc>,
}

impl ModuleAccounts {
    /// Lets the module send, as its grant has it. `reads` is the module's own port.
    #[must_use]
    pub fn sending(self, sender: Sender, reads: Arc<dyn ChainRpc>) -> Self {
        let sending = Some(Sending { sender, reads });
        Self { sending, ..self }
    }

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

    /// Waits for a turn, if it comes soon: each signature leaves a line in the log.
    async fn turn(&self) -> Result<(), HostError> {
        let turn = self.turns.next(LONGEST_WAIT).map_err(|over| {
            let message = format!("too many signatures: {over}");
            error(HostErrorKind::RateLimited, message)
        })?;
        if let Some(turn) = turn {
            sleep_until(turn.into()).await;
        }
        Ok(())
    }

    async fn signed(
        &self,
        signer: &dyn Signer,
        account: Address,
        (method, what): (IdentityMethod, ToSign<'_>),
        event: Option<EventId>,
    ) -> Result<Bytes, HostError> {
        let module = &self.module;
        let audit = Audit {
            module,
            account,
            method,
            digest: what.digest(),
            event: named(event),
        };
        let signed = audit.watched(signer.sign(account, what)).await;
        let Audit { digest, event, .. } = audit;
        let signed = signed.and_then(|signature| checked(signature, account, &digest));
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
            self.turn().await?;
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
            self.turn().await?;
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

    fn send_transaction<'a>(
        &'a self,
        chain: ChainId,
        params: &'a str,
        of: SendOf,
    ) -> BoxFuture<'a, Result<Sent, HostError>> {
        Box::pin(self.send(chain, params, of))
    }
}

impl ModuleAccounts {
    async fn send(&self, chain: ChainId, params: &str, of: SendOf) -> Result<Sent, HostError> {
        self.check(IdentityMethod::SendTransaction)?;
        let asked =
            AskedTransaction::parse(params, chain).map_err(|error| invalid(error.to_string()))?;
        let signer = Arc::clone(self.signer(asked.from)?);
        let over = |error: OverCeiling| denied(error.to_string());
        let ceilings = Ceilings(&self.grant.transactions);
        let rule = ceilings.of(asked.from, chain).map_err(over)?;
        check_asked(rule, &asked).map_err(over)?;
        let Some(Sending { sender, reads }) = &self.sending else {
            let message = "there is no chain to send transactions on";
            return Err(error(HostErrorKind::Unavailable, message.to_owned()));
        };
        self.turn().await?;
        let SendOf { call, index, event } = of;
        let call = tokio::task::spawn_blocking(move || call.id()).await;
        let call = call.map_err(|_| failed(&SignError::CutOff))?;
        let call = call.map_err(|cause| {
            let module = &self.module;
            tracing::error!(%module, cause = ?cause, "the call has no id: {cause}");
            let message = "the module's state failed: the operator reads why in the engine's log";
            error(HostErrorKind::Internal, message.to_owned())
        })?;
        let order = Order {
            module: self.module.clone(),
            call,
            index,
            event: named(event),
            chain,
            asked,
            rule: rule.clone(),
        };
        sender.send(order, signer, &**reads).await
    }
}

/// What a line of the audit is about.
struct Audit<'a> {
    module: &'a ModuleName,
    account: Address,
    method: IdentityMethod,
    digest: B256,
    event: String,
}

impl Audit<'_> {
    /// Waits for a signer, and says so where nobody waits any more: it may sign all the same.
    async fn watched<T>(&self, signing: impl Future<Output = T>) -> T {
        let mut waiting = Waiting(Some(self));
        let signed = signing.await;
        waiting.0 = None;
        signed
    }
}

/// Tells of a signature that was asked for and not waited for.
struct Waiting<'a>(Option<&'a Audit<'a>>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(audit) = self.0 else { return };
        let Audit {
            module,
            account,
            method,
            digest,
            event,
        } = audit;
        tracing::warn!(%module, %account, %method, %digest, event, "not signed: the call has ended before");
    }
}

/// An event as the audit names it.
fn named(event: Option<EventId>) -> String {
    event.map_or_else(|| "init".to_owned(), |event| event.to_string())
}

impl fmt::Debug for ModuleAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleAccounts")
            .field("module", &self.module)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

pub(crate) fn error(kind: HostErrorKind, message: String) -> HostError {
    HostError::new(DOMAIN, kind, message)
}

fn denied(message: String) -> HostError {
    error(HostErrorKind::Denied, message)
}

fn invalid(message: String) -> HostError {
    error(HostErrorKind::InvalidInput, message)
}

pub(crate) fn failed(reason: &SignError) -> HostError {
    let kind = match reason {
        SignError::Locked(_)
        | SignError::NoAccount(_)
        | SignError::Unreachable(_)
        | SignError::Refused(_) => HostErrorKind::Unavailable,
        SignError::NotItsSignature(_) | SignError::CutOff => HostErrorKind::Internal,
    };
    error(kind, reason.to_string())
}

//! `[identity]` of the operator's file: where keys are, and what which module may do with which
//! account. And what a module's manifest asks for of that.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use nexum_types::{Address, ChainId, ModuleName};
use serde_json::{Value, json};
use toml::de::DeValue;
use url::Url;
use zeroize::Zeroizing;

use crate::{
    Place, Problem, TransactionRule,
    decode::{At, Decode, Decoder, Node, Tried, Written, table},
    lists::Set,
    secret::{Env, Secret},
    source::{Source, Span},
    transactions::{self, RawRules, Scope},
    wording::{self, key_text},
};

/// Where keys are, and who may use them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentitySettings {
    /// The operator's folder of keystores.
    pub keystore: Option<KeystoreSettings>,
    /// A remote signer.
    pub remote: Option<RemoteSignerUrl>,
    /// What each module may use. A module that is not there may use nothing.
    pub modules: BTreeMap<ModuleName, IdentityGrant>,
}

/// A folder of keystores, and how they are opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeystoreSettings {
    /// The folder. Relative paths have been resolved against the file's folder.
    pub folder: PathBuf,
    /// The password of the keystores. Where there is none, whoever starts the engine is asked.
    pub password: Option<KeystorePassword>,
    /// When they are opened.
    pub unlock: UnlockAt,
}

/// A password. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeystorePassword(Zeroizing<String>);

impl KeystorePassword {
    /// The password itself: for opening keystores, and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeystorePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeystorePassword(***)")
    }
}

/// The URL of a remote signer. Its `Debug` shows no part that could be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteSignerUrl(Url);

impl RemoteSignerUrl {
    /// The URL itself: for connecting, and nothing else.
    #[must_use]
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for RemoteSignerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or("-");
        write!(f, "{}://{host}", self.0.scheme())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// When keystores are opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnlockAt {
    /// Before any module runs.
    #[default]
    Start,
    /// Each when a module first signs with it.
    FirstUse,
}

/// What one module may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityGrant {
    /// The accounts, in the operator's order.
    pub accounts: Vec<Address>,
    /// What it may do with them, if the operator says so; else what its manifest names.
    pub methods: Option<BTreeSet<IdentityMethod>>,
    /// The transactions that it may send. At most one rule fits an account and a chain; where none
    /// does, nothing is sent.
    pub transactions: Vec<TransactionRule>,
}

/// What a module can do with its accounts: the functions of `nexum:host/identity`, and sending
/// transactions, which is done through `nexum:host/chain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentityMethod {
    /// To list them.
    Accounts,
    /// To sign messages (EIP-191).
    Sign,
    /// To sign typed data (EIP-712).
    SignTypedData,
    /// To send transactions, with `eth_sendTransaction` of `chain`.
    SendTransaction,
}

impl IdentityMethod {
    /// Every method.
    pub const ALL: [Self; 4] = [
        Self::Accounts,
        Self::Sign,
        Self::SignTypedData,
        Self::SendTransaction,
    ];

    /// What a request of a wallet's asks of the accounts, by its JSON-RPC method; `None` where it is
    /// for the chain.
    #[must_use]
    pub fn of_request(method: &str) -> Option<Self> {
        Some(match method {
            "eth_accounts" => Self::Accounts,
            "personal_sign" => Self::Sign,
            "eth_signTypedData_v4" => Self::SignTypedData,
            "eth_sendTransaction" => Self::SendTransaction,
            _ => return None,
        })
    }

    /// Its name in both files: the one of the contract's function, where it is one.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Sign => "sign",
            Self::SignTypedData => "sign-typed-data",
            Self::SendTransaction => "send-transaction",
        }
    }
}

impl fmt::Display for IdentityMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Decode for IdentityMethod {
    const EXPECTS: &'static str = "the name of something that is done with accounts";

    fn schema() -> Value {
        json!({ "type": "string", "enum": Self::ALL.map(Self::as_str) })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let index = decoder.name(node, text, &Self::ALL.map(Self::as_str))?;
        Some(Self::ALL[index])
    }
}

impl Decode for UnlockAt {
    const EXPECTS: &'static str = "\"start\" or \"first-use\"";

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["start", "first-use"] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let index = decoder.name(node, text, &["start", "first-use"])?;
        Some([Self::Start, Self::FirstUse][index])
    }
}

impl Written for UnlockAt {
    fn written(&self) -> Value {
        match self {
            Self::Start => json!("start"),
            Self::FirstUse => json!("first-use"),
        }
    }
}

table! {
    /// Where keys are, and which module may sign with which account.
    struct RawIdentity {
        /// The folder of keystores, relative to this file's folder: each file in it is one, as geth, foundry and `nexum keystore` write them.
        optional keystore: At<PathBuf>,
        /// The password of the keystores: { env = "NAME" } or { file = "path" }. Without it, whoever starts the engine is asked on the terminal.
        optional password: At<Secret>,
        /// When keystores are opened: "start", before any module runs, or "first-use", each when a module first signs with it.
        default unlock: At<UnlockAt> = At::nowhere(UnlockAt::Start),
        /// The http or https URL of a web3signer, for accounts that have no keystore: the text itself, { env = "NAME" } or { file = "path" }.
        optional remote_signer: At<Secret>,
        /// What each module may use, by name: `[identity.modules.<name>]`.
        optional modules: RawGrants,
    }
}

table! {
    /// What one module may use.
    struct RawGrant {
        /// The accounts that the module may use, by address. The order is the one in which the module sees them.
        required accounts: Set<Address>,
        /// What the module may do of what its manifest names: "accounts", "sign", "sign-typed-data", "send-transaction". Without it, all that its manifest names.
        optional methods: Set<IdentityMethod>,
        /// What its transactions have to keep to: `[[identity.modules.<name>.transactions]]`. Without a rule that fits an account and a chain, nothing is sent.
        optional transactions: At<RawRules>,
    }
}

table! {
    /// What the module does with the accounts that the operator gives it.
    struct RawAsked {
        /// The functions of `identity` that the module calls: "accounts", "sign", "sign-typed-data"; and "send-transaction", if it sends transactions through `chain`. What is not named answers `denied`.
        required methods: Set<IdentityMethod>,
    }
}

/// `[identity.modules.<name>]`. A table that is bad altogether is left out.
pub(crate) struct RawGrants(BTreeMap<ModuleName, At<RawGrant>>);

impl Decode for RawGrants {
    const EXPECTS: &'static str = "a table";

    fn schema() -> Value {
        json!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z0-9-]{1,64}$" },
            "additionalProperties": RawGrant::schema(),
        })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            decoder.mismatch::<Self>(node);
            return None;
        };
        let mut grants = BTreeMap::new();
        for (key, node) in table {
            let text = key.get_ref().as_ref();
            let Ok(name) = text.parse::<ModuleName>() else {
                let message = format!(
                    "`identity.modules` takes modules' names as keys, not {}",
                    key_text(text)
                );
                let help = "write the name that the module runs under, such as [identity.modules.price-alert]";
                decoder.report_with_help(key.span(), message, "no module name", help);
                continue;
            };
            let raw = decoder.within(text, "", |decoder| RawGrant::decode(node, decoder));
            if let Some(value) = raw {
                let span = key.span();
                grants.insert(name, At { span, value });
            }
        }
        Some(Self(grants))
    }
}

/// Where in the file what is said of keys.
#[derive(Debug)]
pub(crate) struct SaidOfKeys<Where> {
    pub(crate) keystore: Option<Where>,
    pub(crate) modules: BTreeMap<ModuleName, Where>,
    /// Where each account is first given to a module.
    pub(crate) accounts: BTreeMap<Address, Where>,
}

impl<Where> Default for SaidOfKeys<Where> {
    fn default() -> Self {
        Self {
            keystore: None,
            modules: BTreeMap::new(),
            accounts: BTreeMap::new(),
        }
    }
}

impl SaidOfKeys<Span> {
    pub(crate) fn places(self, source: &Arc<Source>) -> SaidOfKeys<Place> {
        let place = |span: Span| source.place(span);
        let modules = self.modules.into_iter();
        let accounts = self.accounts.into_iter();
        SaidOfKeys {
            keystore: self.keystore.map(place),
            modules: modules.map(|(name, span)| (name, place(span))).collect(),
            accounts: accounts
                .map(|(account, span)| (account, place(span)))
                .collect(),
        }
    }
}

impl SaidOfKeys<Place> {
    /// What is given to modules that there are not, each as a problem that refuses nothing: its
    /// module may be loaded later.
    pub(crate) fn to_nobody(&self, known: &BTreeSet<ModuleName>) -> Vec<Problem> {
        let names: Vec<_> = known.iter().map(ModuleName::as_str).collect();
        let given = self.modules.iter();
        let to_nobody = given.filter(|(name, _)| !known.contains(*name));
        let problem = |(name, place): (&ModuleName, &Place)| {
            let message = format!(
                "`identity.modules.{name}` is for no module: none of that name is configured or was loaded"
            );
            let help = match wording::nearest(name.as_str(), &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "take it out, unless the module is to be loaded".to_owned(),
            };
            Problem::new(place.clone(), message)
                .with_label("no such module")
                .with_help(help)
        };
        to_nobody.map(problem).collect()
    }
}

/// The settings, and where they are. `chains`: those that are configured, well or not. What is bad is reported and left out.
pub(crate) fn resolve(
    raw: Option<&RawIdentity>,
    folder: &Path,
    env: &Env<'_>,
    chains: &BTreeSet<ChainId>,
    decoder: &mut Decoder,
) -> (IdentitySettings, SaidOfKeys<Span>) {
    let mut said = SaidOfKeys::default();
    let Some(raw) = raw else {
        return (IdentitySettings::default(), said);
    };
    let settings = decoder.within("identity", "", |decoder| {
        let password = raw.password.as_ref().and_then(|secret| {
            let text = decoder.within("password", "", |decoder| {
                resolved(secret, folder, env, decoder)
            });
            text.map(KeystorePassword)
        });
        let remote = raw.remote_signer.as_ref().and_then(|secret| {
            decoder.within("remote_signer", "", |decoder| {
                url(secret, folder, env, decoder).map(RemoteSignerUrl)
            })
        });
        let unlock = &raw.unlock;
        if raw.keystore.is_none() {
            let useless = [
                ("password", raw.password.as_ref().map(|at| &at.span)),
                ("unlock", Some(&unlock.span).filter(|span| !span.is_empty())),
            ];
            for (key, span) in useless {
                let Some(span) = span else { continue };
                let message = format!("`identity.{key}` needs `keystore`");
                let help = "write `keystore` too, the folder of keystores; or take this out";
                decoder.report_with_help(span.clone(), message, "opens nothing", help);
            }
        }
        let keystore = raw.keystore.as_ref().map(|path| {
            said.keystore = Some(path.span.clone());
            KeystoreSettings {
                folder: folder.join(&path.value),
                password,
                unlock: unlock.value,
            }
        });
        let mut modules = BTreeMap::new();
        for (name, At { value: grant, span }) in raw.modules.iter().flat_map(|all| &all.0) {
            said.modules.insert(name.clone(), span.clone());
            let accounts = grant.accounts.iter().flat_map(|set| &set.0);
            if raw.keystore.is_none() && raw.remote_signer.is_none() {
                let message = format!("`identity.modules.{name}` has accounts that nothing has keys for");
                let help = "write `keystore`, the folder of keystores, or `remote_signer` under [identity]";
                decoder.report_with_help(span.clone(), message, "no keys", help);
            }
            for account in accounts.clone() {
                let first = said.accounts.entry(account.value);
                first.or_insert_with(|| account.span.clone());
            }
            let transactions = decoder.within(&format!("modules.{name}"), "", |decoder| {
                transactions(grant, chains, decoder)
            });
            modules.insert(
                name.clone(),
                IdentityGrant {
                    accounts: accounts.map(|account| account.value).collect(),
                    methods: grant.methods.as_ref().map(Set::values),
                    transactions,
                },
            );
        }
        IdentitySettings {
            keystore,
            remote,
            modules,
        }
    });
    (settings, said)
}

/// The rules of one module, and whether they go together with its `methods`.
fn transactions(
    grant: &RawGrant,
    chains: &BTreeSet<ChainId>,
    decoder: &mut Decoder,
) -> Vec<TransactionRule> {
    let sends = IdentityMethod::SendTransaction;
    let methods = grant.methods.as_ref();
    let named = methods.and_then(|list| list.0.iter().find(|method| method.value == sends));
    let keys = decoder.keys();
    match (&grant.transactions, methods, named) {
        (Some(rules), Some(methods), None) if methods.is_whole() => {
            let message = format!("`{keys}.methods` lacks \"{sends}\", which `transactions` needs");
            let help = format!("add \"{sends}\" to `methods`, or take `transactions` out");
            decoder.report_with_help(rules.span.clone(), message, "allows nothing", help);
        }
        (None, _, Some(named)) => {
            let message =
                format!("`{keys}.methods` has \"{sends}\", and `transactions` has no rule");
            let help = format!(
                "write what may be sent under [[{keys}.transactions]], or take \"{sends}\" out"
            );
            decoder.report_with_help(named.span.clone(), message, "sends nothing", help);
        }
        _ => {}
    }
    let Some(At {
        value: Tried(Some(rules)),
        ..
    }) = &grant.transactions
    else {
        return Vec::new();
    };
    let accounts = grant.accounts.as_ref().filter(|list| list.is_whole());
    let accounts = accounts.map(Set::values);
    transactions::resolve(rules, &Scope { accounts, chains }, decoder)
}

fn resolved(
    secret: &At<Secret>,
    folder: &Path,
    env: &Env<'_>,
    decoder: &mut Decoder,
) -> Option<Zeroizing<String>> {
    let key = decoder.keys();
    match secret.value.resolve(folder, env) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(error) => {
            let message = format!("`{key}`: {}", error.message);
            decoder.report_with_help(secret.span.clone(), message, "from here", error.help);
            None
        }
    }
}

/// What is wrong with it is said without any part of it.
fn url(secret: &At<Secret>, folder: &Path, env: &Env<'_>, decoder: &mut Decoder) -> Option<Url> {
    let text = resolved(secret, folder, env, decoder)?;
    let (key, origin) = (decoder.keys(), secret.value.origin());
    let message = match Url::parse(&text) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) => return Some(url),
        Ok(_) => format!("`{key}`: {origin} is a URL of a scheme that no signer has"),
        Err(error) => format!("`{key}`: {origin} is not a URL: {error}"),
    };
    let help = "write it as in https://host:port/; the schemes are http and https";
    decoder.report_with_help(secret.span.clone(), message, "not a signer's URL", help);
    None
}

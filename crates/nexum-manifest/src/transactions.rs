//! `[[identity.modules.<name>.transactions]]` of the operator's file: which transactions a module
//! may send. Where no rule fits an account and a chain, nothing is sent; and no two rules of a
//! module do, so that which limits hold is never a question of order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use nexum_types::{Address, ChainId, U256};
use serde_json::{Value, json};
use toml::de::DeValue;

use crate::{
    decode::{At, Decode, Decoder, Node, Tried, table},
    lists::{NonEmpty, NonEmptySet},
    source::Span,
    values::AtLeast,
    wei::{GasPrice, Wei},
    wording::quoted,
};

/// What the transactions of some of a module's accounts on some chains have to keep to. Amounts
/// are in wei of the chain's coin. What is of a day is counted over any 24 hours, for each account
/// and chain on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionRule {
    /// The accounts that may send: all of the module's where the rule names none.
    pub accounts: BTreeSet<Address>,
    /// The chains that it is for. Each is configured.
    pub chains: BTreeSet<ChainId>,
    /// Who may receive.
    pub to: Recipients,
    /// The most value of one transaction.
    pub max_value: U256,
    /// The most value of all transactions of a day. Not less than `max_value`.
    pub max_value_per_day: U256,
    /// The highest price of a unit of gas, tip included (`maxFeePerGas` of EIP-1559).
    pub max_fee_per_gas: u128,
    /// The most that gas may cost in a day, each transaction counted at its gas limit times its
    /// highest price.
    pub max_fees_per_day: U256,
    /// The most gas of one transaction.
    pub max_gas: u64,
}

/// Who may receive a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipients {
    /// Every address; and transactions to none, which make contracts.
    Any,
    /// These addresses alone.
    These(BTreeSet<Address>),
}

/// What a transaction takes by itself (Ethereum's yellow paper, appendix G): with less, none is
/// ever taken.
const LEAST_GAS: u64 = 21_000;

table! {
    /// What the module's transactions have to keep to. Without a rule that fits an account and a chain, nothing is sent.
    struct RawRule {
        /// The chains that the rule is for, by id. Each has to be configured.
        required chains: NonEmptySet<ChainId>,
        /// Which of the module's accounts may send. Without it, all of them.
        optional accounts: Tried<NonEmptySet<Address>>,
        /// The addresses that may receive, or "any". With "any", contracts may be made, too.
        required to: RawRecipients,
        /// The most of the chain's coin that one transaction may send: an amount such as "0.5 ether", "30 gwei" or "1000 wei". An integer is in wei.
        required max_value: At<Wei>,
        /// The most of the chain's coin that all transactions of any 24 hours may send, for each account and chain: an amount such as "2 ether". Not less than `max_value`.
        required max_value_per_day: At<Wei>,
        /// The highest price of gas, tip included: an amount such as "100 gwei". It is the `maxFeePerGas` of EIP-1559.
        required max_fee_per_gas: GasPrice,
        /// The most that gas may cost in any 24 hours, for each account and chain: an amount such as "0.1 ether". Each transaction counts at its ceiling, its gas limit times its highest price.
        required max_fees_per_day: Wei,
        /// The most gas of one transaction.
        default max_gas: AtLeast<LEAST_GAS> = AtLeast(1_000_000),
    }
}

/// The rules of one module.
pub(crate) type RawRules = Tried<NonEmpty<RawRule>>;

/// Recipients as they are written.
pub(crate) enum RawRecipients {
    Any,
    These(NonEmptySet<Recipient>),
}

/// One of several that may receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Recipient(Address);

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Decode for Recipient {
    const EXPECTS: &'static str = Address::EXPECTS;

    fn schema() -> Value {
        Address::schema()
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        if let Some(text @ ("any" | "*")) = node.get_ref().as_str() {
            decoder.show(node);
            let message = format!("{} does not take {}", decoder.subject(), quoted(text));
            let help = "write `to = \"any\"`, without a list, where every address may receive";
            decoder.report_with_help(node.span(), message, "no address", help);
            return None;
        }
        Address::decode(node, decoder).map(Self)
    }
}

impl Decode for RawRecipients {
    const EXPECTS: &'static str = "a list of addresses, or \"any\"";

    fn schema() -> Value {
        json!({ "anyOf": [{ "const": "any" }, NonEmptySet::<Recipient>::schema()] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        if let DeValue::Array(_) = node.get_ref() {
            return NonEmptySet::decode(node, decoder).map(Self::These);
        }
        let text = decoder.text::<Self>(node)?;
        if text == "any" {
            return Some(Self::Any);
        }
        let message = format!("{} does not take {}", decoder.subject(), quoted(text));
        let help = "write a list of addresses, such as [\"0x…\"], or \"any\"";
        decoder.report_with_help(node.span(), message, "unknown", help);
        None
    }
}

/// What the rules of a module refer to.
pub(crate) struct Scope<'a> {
    /// The module's accounts; `None` where they are not known well.
    pub(crate) accounts: Option<BTreeSet<Address>>,
    /// The chains that are configured, well or not.
    pub(crate) chains: &'a BTreeSet<ChainId>,
}

/// The rules of the module whose table is being decoded. What is bad is reported and left out.
pub(crate) fn resolve(
    raw: &NonEmpty<RawRule>,
    scope: &Scope<'_>,
    decoder: &mut Decoder,
) -> Vec<TransactionRule> {
    let mut taken = BTreeMap::new();
    let rules = raw.0.iter().enumerate();
    decoder.within("transactions", "", |decoder| {
        rules
            .filter_map(|(index, At { value: raw, .. })| {
                check_values(raw, decoder);
                let chains = chains(raw, scope, decoder);
                let accounts = accounts(raw, scope, decoder)?;
                check_alone(index, &accounts, &chains, &mut taken, decoder);
                Some(TransactionRule {
                    accounts,
                    chains: chains.into_keys().collect(),
                    to: raw.to.as_ref()?.resolve(),
                    max_value: raw.max_value.as_ref()?.value.0,
                    max_value_per_day: raw.max_value_per_day.as_ref()?.value.0,
                    max_fee_per_gas: raw.max_fee_per_gas?.0,
                    max_fees_per_day: raw.max_fees_per_day?.0,
                    max_gas: raw.max_gas.0,
                })
            })
            .collect()
    })
}

impl RawRecipients {
    fn resolve(&self) -> Recipients {
        match self {
            Self::Any => Recipients::Any,
            Self::These(list) => {
                Recipients::These(list.0.iter().map(|recipient| recipient.value.0).collect())
            }
        }
    }
}

fn check_values(raw: &RawRule, decoder: &mut Decoder) {
    if let (Some(one), Some(day)) = (&raw.max_value, &raw.max_value_per_day)
        && one.value > day.value
    {
        let keys = decoder.keys();
        let message = format!("`{keys}.max_value` is more than `max_value_per_day`");
        let help = "no transaction could send that much: lower `max_value`, or raise \
                    `max_value_per_day`";
        decoder.report_with_help(one.span.clone(), message, "more than in a day", help);
    }
}

/// The rule's chains that are configured, each with its place.
fn chains(raw: &RawRule, scope: &Scope<'_>, decoder: &mut Decoder) -> BTreeMap<ChainId, Span> {
    let mut chains = BTreeMap::new();
    for chain in raw.chains.iter().flat_map(|list| &list.0) {
        let id = chain.value;
        if scope.chains.contains(&id) {
            chains.insert(id, chain.span.clone());
            continue;
        }
        let message = format!(
            "`{}.chains` names chain {id}, which is not configured",
            decoder.keys()
        );
        let help = format!(
            "take it out, or write:\n[chains.{id}]\n[[chains.{id}.endpoints]]\nurl = {{ env = \"CHAIN_{id}_URL\" }}"
        );
        decoder.report_with_help(chain.span.clone(), message, "not configured", help);
    }
    chains
}

/// The rule's accounts that are the module's. `None`: they are not known well.
fn accounts(raw: &RawRule, scope: &Scope<'_>, decoder: &mut Decoder) -> Option<BTreeSet<Address>> {
    let all = scope.accounts.as_ref()?;
    let Some(Tried(named)) = &raw.accounts else {
        return Some(all.clone());
    };
    let mut accounts = BTreeSet::new();
    for account in &named.as_ref()?.0 {
        if all.contains(&account.value) {
            accounts.insert(account.value);
            continue;
        }
        let message = format!(
            "`{}.accounts` names {}, which is not one of the module's accounts",
            decoder.keys(),
            account.value
        );
        let help = "take it out, or add it to `accounts` of the module";
        decoder.report_with_help(account.span.clone(), message, "not the module's", help);
    }
    Some(accounts)
}

/// Reports each rule before this one that fits an account and a chain that this one fits, too:
/// once, at the first such chain.
fn check_alone(
    index: usize,
    accounts: &BTreeSet<Address>,
    chains: &BTreeMap<ChainId, Span>,
    taken: &mut BTreeMap<(ChainId, Address), (usize, Span)>,
    decoder: &mut Decoder,
) {
    let mut told = BTreeSet::new();
    for (chain, span) in chains {
        for account in accounts {
            let fits = (*chain, *account);
            let Some((other, first)) = taken.get(&fits) else {
                taken.insert(fits, (index, span.clone()));
                continue;
            };
            if !told.insert(*other) {
                continue;
            }
            let message = format!(
                "two rules of `{}` fit {account} on chain {chain}",
                decoder.keys()
            );
            let help = "make one rule of them, or name other `chains` or `accounts` in one: an \
                        account has one rule on a chain";
            decoder.report_twice(first.clone(), span.clone(), message, help);
        }
    }
}

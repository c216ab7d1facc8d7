//! What the operator lets a module send.

use alloy_primitives::TxKind;
use nexum_manifest::{Recipients, TransactionRule};
use nexum_types::{Address, AskedTransaction, ChainId, U256};

/// The operator's rules for the transactions of one module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ceilings<'a>(pub(crate) &'a [TransactionRule]);

/// Why the operator's rules keep a transaction from being sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OverCeiling {
    #[error("no rule of the operator's lets the module send from {account} on chain {chain}")]
    NoRule { account: Address, chain: ChainId },
    #[error("the operator does not let the module send to {0}")]
    To(Address),
    #[error("the operator does not let the module make contracts")]
    Create,
    #[error("a value of {found} wei is over the operator's max_value of {most} wei")]
    Value { found: U256, most: U256 },
    #[error("{found} gas is over the operator's max_gas of {most}")]
    Gas { found: u64, most: u64 },
    #[error("a maxFeePerGas of {found} wei is over the operator's max_fee_per_gas of {most} wei")]
    Fee { found: u128, most: u128 },
    #[error(
        "with this the module would have sent {found} wei in a day, over the operator's max_value_per_day of {most} wei"
    )]
    ValuePerDay { found: U256, most: U256 },
    #[error(
        "with this the module's transactions could have cost {found} wei for gas in a day, over the operator's max_fees_per_day of {most} wei"
    )]
    FeesPerDay { found: U256, most: U256 },
}

impl<'a> Ceilings<'a> {
    /// The rule for transactions of that account on that chain.
    pub(crate) fn of(
        self,
        account: Address,
        chain: ChainId,
    ) -> Result<&'a TransactionRule, OverCeiling> {
        let fits = |rule: &&TransactionRule| {
            rule.accounts.contains(&account) && rule.chains.contains(&chain)
        };
        let rule = self.0.iter().find(fits);
        rule.ok_or(OverCeiling::NoRule { account, chain })
    }
}

/// Looks at all that can be told before the chain is asked.
pub(crate) fn check(rule: &TransactionRule, asked: &AskedTransaction) -> Result<(), OverCeiling> {
    match (&rule.to, asked.to) {
        (Recipients::Any, _) => {}
        (Recipients::These(_), TxKind::Create) => return Err(OverCeiling::Create),
        (Recipients::These(these), TxKind::Call(to)) if !these.contains(&to) => {
            return Err(OverCeiling::To(to));
        }
        (Recipients::These(_), TxKind::Call(_)) => {}
    }
    if asked.value > rule.max_value {
        return Err(OverCeiling::Value {
            found: asked.value,
            most: rule.max_value,
        });
    }
    if let Some(gas) = asked.gas {
        check_gas(rule, gas)?;
    }
    match asked.max_fee.or(asked.tip) {
        Some(found) if found > rule.max_fee_per_gas => Err(OverCeiling::Fee {
            found,
            most: rule.max_fee_per_gas,
        }),
        _ => Ok(()),
    }
}

pub(crate) fn check_gas(rule: &TransactionRule, gas: u64) -> Result<(), OverCeiling> {
    if gas > rule.max_gas {
        return Err(OverCeiling::Gas {
            found: gas,
            most: rule.max_gas,
        });
    }
    Ok(())
}

/// What was sent, in wei.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// The value.
    pub(crate) value: U256,
    /// What its gas could have cost.
    pub(crate) fees: U256,
}

/// Whether so much may be sent within a day.
pub(crate) fn check_day(rule: &TransactionRule, spent: Spent) -> Result<(), OverCeiling> {
    if spent.value > rule.max_value_per_day {
        return Err(OverCeiling::ValuePerDay {
            found: spent.value,
            most: rule.max_value_per_day,
        });
    }
    if spent.fees > rule.max_fees_per_day {
        return Err(OverCeiling::FeesPerDay {
            found: spent.fees,
            most: rule.max_fees_per_day,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: ChainId = ChainId(1);

    fn account(byte: u8) -> Address {
        Address::repeat_byte(byte)
    }

    fn rule(to: Recipients) -> TransactionRule {
        TransactionRule {
            accounts: [account(1)].into(),
            chains: [CHAIN].into(),
            to,
            max_value: U256::from(10),
            max_value_per_day: U256::from(25),
            max_fee_per_gas: 7,
            max_fees_per_day: U256::from(100),
            max_gas: 50,
        }
    }

    fn asked(fields: &str) -> AskedTransaction {
        AskedTransaction::parse(&format!("[{{\"from\":\"{}\"{fields}}}]", account(1)), CHAIN)
            .unwrap()
    }

    #[test]
    fn a_rule_is_for_its_accounts_on_its_chains() {
        let rules = [rule(Recipients::Any)];
        let ceilings = Ceilings(&rules);
        assert!(ceilings.of(account(1), CHAIN).is_ok());
        for (account, chain) in [(account(2), CHAIN), (account(1), ChainId(2))] {
            let none = Err(OverCeiling::NoRule { account, chain });
            assert_eq!(ceilings.of(account, chain), none);
        }
    }

    #[test]
    fn each_ceiling_holds_at_its_edge() {
        let these = rule(Recipients::These([account(2)].into()));
        let to = |byte: u8, more: &str| asked(&format!(",\"to\":\"{}\"{more}", account(byte)));
        let value = U256::from;
        for (asked, ended) in [
            (to(2, ""), Ok(())),
            (to(3, ""), Err(OverCeiling::To(account(3)))),
            (asked(""), Err(OverCeiling::Create)),
            (to(2, ",\"value\":\"0xa\""), Ok(())),
            (
                to(2, ",\"value\":\"0xb\""),
                Err(OverCeiling::Value {
                    found: value(11),
                    most: value(10),
                }),
            ),
            (to(2, ",\"gas\":\"0x32\""), Ok(())),
            (
                to(2, ",\"gas\":\"0x33\""),
                Err(OverCeiling::Gas {
                    found: 51,
                    most: 50,
                }),
            ),
            (to(2, ",\"maxFeePerGas\":\"0x7\""), Ok(())),
            (
                to(2, ",\"maxFeePerGas\":\"0x8\""),
                Err(OverCeiling::Fee { found: 8, most: 7 }),
            ),
            (
                to(2, ",\"maxPriorityFeePerGas\":\"0x8\""),
                Err(OverCeiling::Fee { found: 8, most: 7 }),
            ),
        ] {
            assert_eq!(check(&these, &asked), ended, "{asked:?}");
        }
        assert_eq!(check(&rule(Recipients::Any), &asked("")), Ok(()));
    }

    #[test]
    fn a_day_has_its_ceilings() {
        let rule = rule(Recipients::Any);
        let spent = |value: u64, fees: u64| Spent {
            value: U256::from(value),
            fees: U256::from(fees),
        };
        assert_eq!(check_day(&rule, spent(25, 100)), Ok(()));
        assert!(matches!(
            check_day(&rule, spent(26, 0)),
            Err(OverCeiling::ValuePerDay { .. })
        ));
        assert!(matches!(
            check_day(&rule, spent(0, 101)),
            Err(OverCeiling::FeesPerDay { .. })
        ));
    }
}

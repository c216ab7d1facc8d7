//! From the errors of libraries to a module's own, as the diagnostics advise.

use std::{fmt, num::NonZeroU8};

use nexum_sdk::{
    alloy::primitives::{I256, Signature, U64, utils::parse_ether},
    prelude::*,
};

/// The kind and the message of what went wrong.
fn told<T: fmt::Debug>(outcome: Result<T>) -> (HostErrorKind, String) {
    let error = outcome.unwrap_err();
    (error.kind, error.message)
}

/// What becomes of an error by a question mark.
macro_rules! asked {
    ($read:expr) => {{
        let read = || -> Result<()> {
            $read?;
            Ok(())
        };
        told(read())
    }};
}

#[test]
fn what_libraries_at_hand_refuse_becomes_invalid_input_by_a_question_mark() {
    let text = "?!".to_owned();
    let read = [
        ("hex", asked!(text.parse::<Address>())),
        ("hex", asked!(text.parse::<B256>())),
        ("hex", asked!(text.parse::<Bytes>())),
        ("address", asked!(Address::parse_checksummed("0x00", None))),
        ("integer", asked!(text.parse::<U256>())),
        ("integer", asked!(text.parse::<I256>())),
        ("integer", asked!(text.parse::<u64>())),
        ("integer", asked!(u64::try_from(U256::MAX))),
        ("integer", asked!(u8::try_from(300_u64))),
        ("integer", asked!(U64::try_from(-1_i64))),
        ("integer", asked!(I256::try_from(U256::MAX))),
        ("number", asked!(text.parse::<f64>())),
        ("boolean", asked!(text.parse::<bool>())),
        ("amount", asked!(parse_ether(&text))),
        ("signature", asked!(Signature::from_raw(text.as_bytes()))),
        ("bytes", asked!(<[u8; 4]>::try_from(text.as_bytes()))),
        (
            "text",
            asked!(std::str::from_utf8(&[text.as_bytes()[0], 0xff])),
        ),
        ("text", asked!(String::from_utf8(vec![0xff]))),
    ];
    for (what, (kind, message)) in read {
        assert_eq!(kind, HostErrorKind::InvalidInput, "{message}");
        assert!(message.starts_with(&format!("{what}: ")), "{message}");
    }
}

#[test]
fn context_stands_before_the_message_and_keeps_the_kind() {
    let parsed = "0x12".parse::<Address>().context("the owner");
    let (kind, message) = told(parsed);
    assert_eq!(kind, HostErrorKind::InvalidInput);
    assert!(message.starts_with("the owner: hex: "), "{message}");

    let busy: Result<()> = Err(HostError::new(HostErrorKind::RateLimited, "slow down"));
    let (kind, message) = told(busy.with_context(|| "the price"));
    assert_eq!(kind, HostErrorKind::RateLimited);
    assert_eq!(message, "the price: slow down");

    let (kind, message) = told(None::<u8>.context("there is no owner"));
    assert_eq!(kind, HostErrorKind::Internal);
    assert_eq!(message, "there is no owner");
}

#[test]
fn an_error_that_no_one_knows_becomes_one_of_the_kind_that_is_named() {
    let (kind, message) = told(Err::<(), _>(fmt::Error).or_internal("writing the line"));
    assert_eq!(kind, HostErrorKind::Internal);
    assert!(message.starts_with("writing the line: "), "{message}");

    let refused: Result<(), String> = Err("no such pair".to_owned());
    assert_eq!(
        told(refused.or_invalid("the pair")),
        (
            HostErrorKind::InvalidInput,
            "the pair: no such pair".to_owned()
        )
    );

    let parsed = "0".parse::<NonZeroU8>().map(NonZeroU8::get);
    assert!(
        told(parsed.context("the cents"))
            .1
            .starts_with("the cents: integer: ")
    );
}

#[test]
fn an_error_of_the_modules_own_becomes_one_by_from() {
    #[derive(Debug)]
    struct Late;
    impl From<Late> for HostError {
        fn from(_: Late) -> Self {
            Self::new(HostErrorKind::Timeout, "too late").in_domain("auction")
        }
    }
    let plain = (|| -> Result<()> { Err(Late)? })();
    assert_eq!(plain.unwrap_err().domain, "auction");
    let error = Err::<(), _>(Late).context("the bid").unwrap_err();
    assert_eq!(
        (error.kind, error.domain.as_str()),
        (HostErrorKind::Timeout, "auction")
    );
    assert_eq!(error.message, "the bid: too late");
}

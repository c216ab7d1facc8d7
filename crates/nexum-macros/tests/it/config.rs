//! What `#[derive(NexumConfig)]` takes and refuses, and that it tells every problem at once.

use std::{str::FromStr, time::Duration};

use nexum_sdk::{
    ConfigScalar, ConfigValue, HostErrorKind,
    alloy::primitives::FixedBytes,
    config::{
        ConfigErrors, ConfigField, Fit, FromScalar, Given, Kinds, Refusal, Scalar, Schema, Text,
    },
    module::Config,
    prelude::*,
};

const ALICE: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/// The entries of a `[config]` table, in the order of their keys.
fn entries(of: &[(&str, ConfigValue)]) -> Config {
    let mut entries: Vec<_> = of
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    entries
}

fn text(text: &str) -> ConfigValue {
    ConfigValue::String(text.to_owned())
}

fn number(number: i64) -> ConfigValue {
    ConfigValue::Integer(number)
}

fn texts(texts: &[&str]) -> ConfigValue {
    let texts = texts
        .iter()
        .map(|text| ConfigScalar::String((*text).into()));
    ConfigValue::List(texts.collect())
}

fn problems<C: NexumConfig>(config: &Config) -> Vec<String> {
    match C::from_config(config) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.problems().map(ToString::to_string).collect(),
    }
}

/// A configuration of one field, `value`.
#[derive(Debug, PartialEq, NexumConfig)]
struct One<T: ConfigField> {
    value: T,
}

fn read<T: ConfigField>(value: ConfigValue) -> Result<T, String> {
    match One::<T>::from_config(&entries(&[("value", value)])) {
        Ok(one) => Ok(one.value),
        Err(errors) => Err(errors.to_string()),
    }
}

#[test]
fn strings_and_booleans_are_taken_as_they_are() {
    assert_eq!(read::<String>(text("a b")), Ok("a b".to_owned()));
    assert_eq!(read::<bool>(ConfigValue::Boolean(true)), Ok(true));
    assert_eq!(
        read::<bool>(text("true")),
        Err("`value` is a string: it takes a boolean".to_owned())
    );
    assert_eq!(
        read::<String>(number(5)),
        Err("`value` is an integer: it takes a string".to_owned())
    );
}

#[test]
fn an_integer_must_fit_its_type() {
    assert_eq!(read::<u8>(number(255)), Ok(255));
    assert_eq!(
        read::<u8>(number(256)),
        Err("`value` is 256: it takes an integer from 0 to 255".to_owned())
    );
    assert_eq!(read::<i8>(number(-128)), Ok(-128));
    assert!(read::<i8>(number(-129)).is_err());
    assert_eq!(read::<u16>(number(65_535)), Ok(65_535));
    assert!(read::<u16>(number(65_536)).is_err());
    assert_eq!(read::<i16>(number(-32_768)), Ok(-32_768));
    assert_eq!(read::<u32>(number(4_294_967_295)), Ok(u32::MAX));
    assert!(read::<u32>(number(-1)).is_err());
    assert_eq!(read::<i32>(number(-2_147_483_648)), Ok(i32::MIN));
    assert_eq!(read::<i64>(number(i64::MIN)), Ok(i64::MIN));
    assert_eq!(read::<usize>(number(7)), Ok(7));
    assert_eq!(read::<isize>(number(-7)), Ok(-7));
    assert_eq!(
        read::<u32>(text("5")),
        Err("`value` is a string: it takes an integer from 0 to 4294967295".to_owned())
    );
}

#[test]
fn a_wide_integer_is_an_integer_or_digits_in_a_string() {
    assert_eq!(read::<u64>(number(7)), Ok(7));
    assert_eq!(read::<u64>(text("18446744073709551615")), Ok(u64::MAX));
    assert_eq!(read::<u128>(text("0xff")), Ok(255));
    assert_eq!(
        read::<i128>(text("-170141183460469231731687303715884105728")),
        Ok(i128::MIN)
    );
    assert_eq!(read::<U256>(number(7)), Ok(U256::from(7)));
    assert_eq!(read::<U256>(text(&U256::MAX.to_string())), Ok(U256::MAX));
    assert_eq!(
        read::<U256>(text(&format!("{:#x}", U256::MAX))),
        Ok(U256::MAX)
    );
    for wrong in [
        "", "0x", "+1", "-1", "1_000", "1e18", "1.5", "0x0x1", "ff", " 1", "0b1", "٣",
    ] {
        assert_eq!(
            read::<U256>(text(wrong)),
            Err(format!(
                "`value` is {wrong:?}: it takes an integer from 0 to 2^256 - 1, as a string \
                 where it is large"
            )),
        );
        assert!(read::<u128>(text(wrong)).is_err(), "{wrong}");
    }
    assert!(read::<U256>(number(-1)).is_err());
    assert!(read::<U256>(text(&format!("{}0", U256::MAX))).is_err());
    assert!(read::<u64>(text("18446744073709551616")).is_err());
    assert!(read::<i128>(text("-0x1")).is_err());
    assert!(read::<u128>(ConfigValue::Boolean(true)).is_err());
}

#[test]
fn an_address_with_letters_of_both_cases_has_the_right_checksum() {
    let alice: Address = ALICE.parse().unwrap();
    assert_eq!(read(text(ALICE)), Ok(alice));
    assert_eq!(read(text(&ALICE.to_lowercase())), Ok(alice));
    assert_eq!(
        read(text(&format!("0x{}", ALICE[2..].to_uppercase()))),
        Ok(alice)
    );
    let wrong = ALICE.replace("aad", "AAD");
    assert_eq!(
        read::<Address>(text(&wrong)),
        Err(format!(
            "`value` is {wrong:?}: its checksum (EIP-55) is wrong: compare it with its source, \
             since a digit may be wrong; if none is, write it in small letters"
        ))
    );
    for wrong in [
        "",
        "0x",
        &ALICE[..41],
        &ALICE[2..],
        "0x0xf39fd6e51aad88f6f4ce6ab8827279cffb9226",
        "vitalik.eth",
    ] {
        assert_eq!(
            read::<Address>(text(wrong)),
            Err(format!(
                "`value` is {wrong:?}: it takes an address, \"0x\" and 40 hex digits"
            ))
        );
    }
    assert_eq!(
        read::<Address>(number(5)),
        Err("`value` is an integer: it takes an address, \"0x\" and 40 hex digits".to_owned())
    );
}

#[test]
fn bytes_are_hex() {
    let hash = B256::repeat_byte(0xab);
    assert_eq!(read(text(&hash.to_string())), Ok(hash));
    assert_eq!(
        read::<B256>(text("0xab")),
        Err("`value` is \"0xab\": it takes 32 bytes, \"0x\" and 64 hex digits".to_owned())
    );
    assert_eq!(read(text("0x0102")), Ok(FixedBytes::<2>::new([1, 2])));
    assert!(read::<FixedBytes<2>>(text("0x01")).is_err());
    assert_eq!(read(text("0x010203")), Ok(Bytes::from_static(&[1, 2, 3])));
    assert_eq!(read(text("0x")), Ok(Bytes::new()));
    for wrong in ["", "0102", "0x1", "0xzz", "0x0x01"] {
        assert!(read::<Bytes>(text(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn a_duration_has_its_units() {
    for (written, seconds) in [
        ("30s", 30.0),
        ("250ms", 0.25),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        (" 2 d ", 172_800.0),
        ("5min 1sec", 301.0),
        ("0s", 0.0),
    ] {
        let wanted = Duration::from_secs_f64(seconds);
        assert_eq!(read(text(written)), Ok(wanted), "{written}");
    }
    let refused = "it takes a duration such as \"30s\" or \"1h 30m\"";
    for wrong in [
        "",
        " ",
        "30",
        "s",
        "1.5h",
        "-1s",
        "1 parsec",
        "1h 30",
        "99999999999999999999s",
        "18446744073709551615d",
        "18446744073709551615s 1s",
    ] {
        assert_eq!(
            read::<Duration>(text(wrong)),
            Err(format!("`value` is {wrong:?}: {refused}")),
        );
    }
    assert_eq!(
        read::<Duration>(number(30)),
        Err(format!("`value` is an integer: {refused}"))
    );
}

#[test]
fn of_a_list_every_wrong_entry_is_told_with_its_position() {
    let alice: Address = ALICE.parse().unwrap();
    assert_eq!(read(texts(&[ALICE])), Ok(vec![alice]));
    assert_eq!(read::<Vec<String>>(texts(&[])), Ok(Vec::new()));
    let mixed = ConfigValue::List(vec![
        ConfigScalar::String("0x12".into()),
        ConfigScalar::String(ALICE.into()),
        ConfigScalar::Integer(7),
        ConfigScalar::Boolean(false),
    ]);
    assert_eq!(
        problems::<One<Vec<Address>>>(&entries(&[("value", mixed)])),
        [
            "`value`, entry 1, is \"0x12\": it takes an address, \"0x\" and 40 hex digits",
            "`value`, entry 3, is an integer: it takes an address, \"0x\" and 40 hex digits",
            "`value`, entry 4, is a boolean: it takes an address, \"0x\" and 40 hex digits",
        ]
    );
    assert_eq!(
        read::<Vec<u8>>(number(5)),
        Err("`value` is an integer: it takes a list, each entry an integer from 0 to 255".into())
    );
    assert_eq!(
        read::<u8>(ConfigValue::List(vec![ConfigScalar::Integer(5)])),
        Err("`value` is a list: it takes an integer from 0 to 255".into())
    );
}

#[test]
fn a_long_text_is_cut_in_a_message() {
    let told = read::<u64>(text(&"é".repeat(1000))).unwrap_err();
    assert!(
        told.starts_with(&format!("`value` is \"{}\"…: it takes", "é".repeat(80))),
        "{told}"
    );
}

#[derive(Debug, PartialEq, NexumConfig)]
struct Settings {
    /// The accounts to watch. Each of them is asked
    /// at every block.
    #[config(non_empty)]
    accounts: Vec<Address>,
    #[config(default = U256::from(10))]
    threshold: U256,
    #[config(default, rename = "dry-run")]
    dry_run: bool,
    note: Option<String>,
    #[config(range = 1..=10, default = 3)]
    retries: u8,
    #[config(parse)]
    side: Side,
    limits: Limits,
    quiet: Option<Quiet>,
    #[config(default = "ether", non_empty)]
    r#type: String,
}

#[derive(Debug, PartialEq, NexumConfig)]
struct Limits {
    /// What may be moved in a day
    daily: U256,
    #[config(default)]
    inner: Inner,
}

#[derive(Debug, Default, PartialEq, NexumConfig)]
struct Inner {
    deep: u8,
}

#[derive(Debug, PartialEq, NexumConfig)]
struct Quiet {
    from: u8,
    to: u8,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Side {
    Above,
    Below,
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "above" => Ok(Self::Above),
            "below" => Ok(Self::Below),
            _ => Err("it is \"above\" or \"below\"".to_owned()),
        }
    }
}

#[test]
fn what_may_be_missing_has_its_default() {
    let config = entries(&[
        ("accounts", texts(&[ALICE])),
        ("limits.daily", number(7)),
        ("side", text("below")),
    ]);
    assert_eq!(
        Settings::from_config(&config),
        Ok(Settings {
            accounts: vec![ALICE.parse().unwrap()],
            threshold: U256::from(10),
            dry_run: false,
            note: None,
            retries: 3,
            side: Side::Below,
            limits: Limits {
                daily: U256::from(7),
                inner: Inner { deep: 0 },
            },
            quiet: None,
            r#type: "ether".to_owned(),
        })
    );
}

#[test]
fn what_is_there_takes_the_place_of_a_default() {
    let config = entries(&[
        ("accounts", texts(&[ALICE])),
        ("dry-run", ConfigValue::Boolean(true)),
        ("limits.daily", text("0x7")),
        ("limits.inner.deep", number(9)),
        ("note", text("mine")),
        ("quiet.from", number(22)),
        ("quiet.to", number(6)),
        ("retries", number(10)),
        ("side", text("above")),
        ("threshold", number(0)),
        ("type", text("wei")),
    ]);
    let settings = Settings::from_config(&config).unwrap();
    assert!(settings.dry_run);
    assert_eq!(settings.limits.inner.deep, 9);
    assert_eq!(settings.note.as_deref(), Some("mine"));
    assert_eq!(settings.quiet, Some(Quiet { from: 22, to: 6 }));
    assert_eq!((settings.retries, settings.threshold), (10, U256::ZERO));
    assert_eq!((settings.side, &*settings.r#type), (Side::Above, "wei"));
}

#[test]
fn every_problem_is_told_at_once() {
    let config = entries(&[
        ("accounts", texts(&[])),
        ("acounts", texts(&[ALICE])),
        ("dry-run", number(1)),
        ("limits.dayly", number(7)),
        ("limits.inner", number(7)),
        ("note", ConfigValue::Boolean(true)),
        ("quiet.from", number(300)),
        ("retries", number(11)),
        ("side", text("left")),
        ("threshold", text("lots")),
        ("type", text("")),
        ("zzz", number(1)),
    ]);
    let errors = Settings::from_config(&config).unwrap_err();
    let told: Vec<_> = errors.problems().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "`accounts` is empty: it must have at least one entry",
            "`threshold` is \"lots\": it takes an integer from 0 to 2^256 - 1, as a string where it is large",
            "`dry-run` is an integer: it takes a boolean",
            "`note` is a boolean: it takes a string",
            "`retries` is 11: it must be from 1 to 10",
            "`side` is \"left\": it is \"above\" or \"below\"",
            "`limits.daily` is missing: it takes an integer from 0 to 2^256 - 1, as a string where it is large (What may be moved in a day)",
            "`limits.inner` is an integer: it takes a table of `deep`",
            "`quiet.from` is 300: it takes an integer from 0 to 255",
            "`quiet.to` is missing: it takes an integer from 0 to 255",
            "`type` is \"\": it must not be empty",
            "`acounts` is unknown: did you mean `accounts`?",
            "`limits.dayly` is unknown: did you mean `limits.daily`?",
            "`zzz` is unknown: there are `accounts`, `threshold`, `dry-run`, `note`, `retries`, `side`, `limits.daily`, `limits.inner.deep`, `quiet.from`, `quiet.to`, `type`",
        ]
    );
    assert_eq!(errors.problems().next().unwrap().key, "accounts");

    let error = HostError::from(errors);
    assert_eq!(error.kind, HostErrorKind::InvalidInput);
    assert_eq!(error.domain, "config");
    assert_eq!(error.message, told.join("; "));
}

#[test]
fn of_no_configuration_everything_required_is_told() {
    assert_eq!(
        problems::<Settings>(&Vec::new()),
        [
            "`accounts` is missing: it takes a list, each entry an address, \"0x\" and 40 hex digits (The accounts to watch)",
            "`side` is missing: it takes a string",
            "`limits.daily` is missing: it takes an integer from 0 to 2^256 - 1, as a string where it is large (What may be moved in a day)",
        ]
    );
}

#[test]
fn a_module_without_configuration_takes_no_key() {
    let config = entries(&[("threshold", number(1))]);
    assert_eq!(
        problems::<()>(&config),
        ["`threshold` is unknown: the module takes no configuration"]
    );
    assert_eq!(<()>::from_config(&Vec::new()), Ok(()));
}

#[test]
fn a_module_may_take_the_entries_as_they_are() {
    let config = entries(&[("anything", number(1)), ("b.c", text("x"))]);
    assert_eq!(Config::from_config(&config), Ok(config.clone()));
}

/// A type of a module's own.
#[derive(Debug, PartialEq)]
struct Percent(u8);

impl FromScalar for Percent {
    const KINDS: Kinds = Kinds::integer("an integer from 0 to 100");

    fn from_scalar(scalar: Scalar<'_>) -> std::result::Result<Self, Refusal> {
        match u8::from_scalar(scalar)? {
            percent @ 0..=100 => Ok(Self(percent)),
            _ => Err(Refusal::because("more than all is not to be had")),
        }
    }
}

#[test]
fn a_type_of_ones_own_reads_itself() {
    assert_eq!(read(number(100)), Ok(Percent(100)));
    assert_eq!(
        read::<Percent>(number(101)),
        Err("`value` is 101: more than all is not to be had".to_owned())
    );
    assert_eq!(
        read::<Vec<Percent>>(ConfigValue::List(vec![ConfigScalar::Integer(7)])),
        Ok(vec![Percent(7)])
    );
}

const LEAST: Duration = Duration::from_secs(1);

#[derive(Debug, PartialEq, NexumConfig)]
struct Ranges {
    #[config(range = 1..)]
    least: u32,
    #[config(range = ..=9)]
    most: u32,
    #[config(range = ..9)]
    below: u32,
    #[config(range = 1..9)]
    between: u32,
    #[config(range = LEAST..=2 * LEAST)]
    pause: Duration,
    #[config(range = 1..=2)]
    maybe: Option<i64>,
}

#[test]
fn a_range_says_what_it_wants() {
    let config = entries(&[
        ("below", number(9)),
        ("between", number(9)),
        ("least", number(0)),
        ("maybe", number(0)),
        ("most", number(10)),
        ("pause", text("3s")),
    ]);
    assert_eq!(
        problems::<Ranges>(&config),
        [
            "`least` is 0: it must be at least 1",
            "`most` is 10: it must be at most 9",
            "`below` is 9: it must be less than 9",
            "`between` is 9: it must be at least 1 and less than 9",
            "`pause` is \"3s\": it must be from LEAST to 2 * LEAST",
            "`maybe` is 0: it must be from 1 to 2",
        ]
    );
    let config = entries(&[
        ("below", number(8)),
        ("between", number(8)),
        ("least", number(1)),
        ("most", number(9)),
        ("pause", text("2s")),
    ]);
    assert_eq!(problems::<Ranges>(&config), [""; 0]);
}

#[test]
fn the_schema_says_what_would_fit() {
    const SCHEMA: Schema = <Settings as NexumConfig>::SCHEMA;
    let keys: Vec<_> = SCHEMA
        .fields()
        .iter()
        .map(|field| (field.key, field.required))
        .collect();
    assert_eq!(
        keys,
        [
            ("accounts", true),
            ("threshold", false),
            ("dry-run", false),
            ("note", false),
            ("retries", false),
            ("side", true),
            ("limits", true),
            ("quiet", false),
            ("type", false),
        ]
    );
    assert_eq!(SCHEMA.fields()[0].about, "The accounts to watch");
    assert_eq!(SCHEMA.fit("limits.daily", Given::String), Fit::Fits);
    assert_eq!(SCHEMA.fit("limits.inner.deep", Given::Integer), Fit::Fits);
    assert!(matches!(
        SCHEMA.fit("limits.inner.deep", Given::String),
        Fit::Misfits(_)
    ));
    assert!(matches!(
        SCHEMA.fit("limits", Given::Integer),
        Fit::Misfits(_)
    ));
    assert!(matches!(SCHEMA.fit("side", Given::String), Fit::Fits));
    assert!(matches!(
        SCHEMA.fit("accounts", Given::List(&[Given::String, Given::Integer])),
        Fit::Entry(2, Given::Integer, _)
    ));
    let Fit::Unknown(Some(near)) = SCHEMA.fit("limit.daily", Given::Integer) else {
        panic!("it is near to one");
    };
    assert_eq!(near.as_str(), "limits.daily");
    assert_eq!(
        SCHEMA.fit("side.x.y.z.w", Given::Integer),
        Fit::Unknown(None)
    );
    assert_eq!(
        SCHEMA.fit(&"x".repeat(100), Given::Integer),
        Fit::Unknown(None)
    );
    assert_eq!(Config::SCHEMA.fit("anything", Given::Boolean), Fit::Fits);
}

#[test]
fn errors_are_of_a_type_that_can_be_kept() {
    fn is_error<E: std::error::Error + Send + Sync + 'static>() {}
    is_error::<ConfigErrors>();
}

#[test]
fn a_text_of_the_compiler_that_is_too_long_ends_before_the_character_that_is_cut() {
    let whole = "ä".repeat(1024);
    assert_eq!(Text::new().with(&whole).with("more").as_str(), whole);
    let cut = Text::new().with("a").with(&whole);
    assert_eq!(cut.as_str(), format!("a{}", "ä".repeat(1023)));
}

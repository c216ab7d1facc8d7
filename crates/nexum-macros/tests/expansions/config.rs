#[automatically_derived]
impl ::nexum_sdk::NexumConfig for Settings {
    const SCHEMA: ::nexum_sdk::config::Schema = ::nexum_sdk::config::Schema::Fields(
        &[
            ::nexum_sdk::config::FieldSpec {
                key: "accounts",
                shape: <Vec<Address> as ::nexum_sdk::config::ConfigField>::SHAPE,
                required: true,
                about: "The accounts to watch",
            },
            ::nexum_sdk::config::FieldSpec {
                key: "retries",
                shape: <u8 as ::nexum_sdk::config::ConfigField>::SHAPE,
                required: false,
                about: "",
            },
            ::nexum_sdk::config::FieldSpec {
                key: "dry-run",
                shape: <bool as ::nexum_sdk::config::ConfigField>::SHAPE,
                required: false,
                about: "",
            },
            ::nexum_sdk::config::FieldSpec {
                key: "note",
                shape: <String as ::nexum_sdk::config::ConfigField>::SHAPE,
                required: false,
                about: "",
            },
            ::nexum_sdk::config::FieldSpec {
                key: "side",
                shape: ::nexum_sdk::config::Shape::Scalar(
                    ::nexum_sdk::config::Kinds::TEXT,
                ),
                required: true,
                about: "",
            },
            ::nexum_sdk::config::FieldSpec {
                key: "limits",
                shape: <Limits as ::nexum_sdk::config::ConfigField>::SHAPE,
                required: true,
                about: "",
            },
        ],
    );
    fn read(
        reader: &mut ::nexum_sdk::config::Reader<'_>,
    ) -> ::core::option::Option<Self> {
        let accounts = {
            let found = <Vec<
                Address,
            > as ::nexum_sdk::config::ConfigField>::read(reader, "accounts");
            let found = reader
                .within(
                    "accounts",
                    found,
                    "must have at least one entry",
                    |value: &Vec<Address>| {
                        !<Vec<
                            Address,
                        > as ::nexum_sdk::config::CanBeEmpty>::is_nothing(value)
                    },
                );
            found
                .or_else(|| {
                    <Vec<
                        Address,
                    > as ::nexum_sdk::config::ConfigField>::missing(
                        reader,
                        "accounts",
                        "The accounts to watch",
                    )
                })
        };
        let retries = {
            let found = <u8 as ::nexum_sdk::config::ConfigField>::read(
                reader,
                "retries",
            );
            let found = reader
                .within(
                    "retries",
                    found,
                    "must be from 1 to 10",
                    |value: &u8| {
                        <_ as ::nexum_sdk::config::RangeOf<u8>>::holds(&(1..=10), value)
                    },
                );
            found.or_else(|| ::core::option::Option::Some(3))
        };
        let dry_run = {
            let found = <bool as ::nexum_sdk::config::ConfigField>::read(
                reader,
                "dry-run",
            );
            found
                .or_else(|| ::core::option::Option::Some(
                    <bool as ::core::default::Default>::default(),
                ))
        };
        let note = {
            let found = <String as ::nexum_sdk::config::ConfigField>::read(
                reader,
                "note",
            );
            found.optional()
        };
        let side = {
            let found = reader.parse::<Side>("side");
            found
                .or_else(|| {
                    reader
                        .report_missing(
                            "side",
                            &::nexum_sdk::config::Shape::Scalar(
                                ::nexum_sdk::config::Kinds::TEXT,
                            ),
                            "",
                        );
                    ::core::option::Option::None
                })
        };
        let limits = {
            let found = <Limits as ::nexum_sdk::config::ConfigField>::read(
                reader,
                "limits",
            );
            found
                .or_else(|| {
                    <Limits as ::nexum_sdk::config::ConfigField>::missing(
                        reader,
                        "limits",
                        "",
                    )
                })
        };
        ::core::option::Option::Some(Self {
            accounts: accounts?,
            retries: retries?,
            dry_run: dry_run?,
            note: note?,
            side: side?,
            limits: limits?,
        })
    }
}
#[automatically_derived]
impl ::nexum_sdk::config::ConfigField for Settings {
    const SHAPE: ::nexum_sdk::config::Shape = ::nexum_sdk::config::Shape::Table(
        <Self as ::nexum_sdk::NexumConfig>::SCHEMA.fields(),
    );
    fn read(
        reader: &mut ::nexum_sdk::config::Reader<'_>,
        key: &'static str,
    ) -> ::nexum_sdk::config::Found<Self> {
        reader.table(key)
    }
    fn missing(
        reader: &mut ::nexum_sdk::config::Reader<'_>,
        key: &'static str,
        _: &str,
    ) -> ::core::option::Option<Self> {
        reader.absent_table(key)
    }
}

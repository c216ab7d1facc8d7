impl Watch {
    fn on_transfer(transfer: &Transfer) {}
}
#[automatically_derived]
impl ::nexum_sdk::Module for Watch {
    type Instance = ();
    fn init(config: ::nexum_sdk::module::Config) -> ::nexum_sdk::Result<Self::Instance> {
        <() as ::nexum_sdk::NexumConfig>::from_config(&config)?;
        ::core::result::Result::Ok(())
    }
    fn on_event(
        instance: &mut Self::Instance,
        event: ::nexum_sdk::Event,
    ) -> ::nexum_sdk::Result<()> {
        let _ = instance;
        match event {
            ::nexum_sdk::Event::Logs(logs) => {
                for payload in logs {
                    if let ::core::option::Option::Some(decoded) = <Transfer as ::nexum_sdk::generated::LogEvent>::decoded(
                        &payload,
                    ) {
                        {
                            let returned = <Watch>::on_transfer(&decoded);
                            ::nexum_sdk::generated::Outcome::outcome(returned)?
                        };
                        continue;
                    }
                    ::nexum_sdk::generated::pass_over_log(&payload);
                }
            }
            other => ::nexum_sdk::generated::pass_over(&other),
        }
        ::core::result::Result::Ok(())
    }
}
::nexum_sdk::export!(Watch);
const _: () = {
    if <Transfer as ::nexum_sdk::generated::LogEvent>::ANONYMOUS {
        ::core::panic!(
            "`Transfer` is anonymous: its logs have no topic to tell them by; take them by `#[on_log]`, and decode them there"
        );
    }
};
const _: () = {
    const SIGNATURE: &str = <Transfer as ::nexum_sdk::generated::LogEvent>::SIGNATURE;
    const TEXT: ::nexum_sdk::config::Text = ::nexum_sdk::config::Text::new()
        .with("no subscription of tests/it/manifests/transfers.toml brings `")
        .with(SIGNATURE)
        .with(
            "`: add\n\n[[subscription]]\nkind = \"log\"\nchain_id = 1\naddress = \"0x…\"  # the contract, or a list; without this line, any\nevent = \"",
        )
        .with(SIGNATURE)
        .with("\"\n");
    if !::nexum_sdk::generated::has_topic(
        &[
            ::nexum_sdk::alloy::primitives::b256!(
                "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
            ),
        ],
        &<Transfer as ::nexum_sdk::generated::LogEvent>::TOPIC,
    ) {
        ::core::panic!("{}", TEXT.as_str());
    }
};
const _: () = {
    if !::nexum_sdk::generated::has_topic(
        &[<Transfer as ::nexum_sdk::generated::LogEvent>::TOPIC],
        &::nexum_sdk::alloy::primitives::b256!(
            "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
        ),
    ) {
        ::core::panic!(
            "{}",
            "tests/it/manifests/transfers.toml:11:1: this subscription brings logs whose first topic is 0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef, which no handler takes: add `#[on_log(…)]` with the event, or\n\n    #[on_log]\n    fn on_log(log: &Log) -> Result<()> {\n        Ok(())\n    }\n"
        );
    }
};
const _: &[u8] = ::core::include_bytes!(
    ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"),
    "/tests/it/manifests/transfers.toml")
);

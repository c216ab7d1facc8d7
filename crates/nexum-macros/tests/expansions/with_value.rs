impl Watch {
    /// Its documentation stays.
    fn init(settings: Settings) -> Result<Self> {
        Ok(Self)
    }
    fn on_block(&mut self, block: &Block) {}
    async fn on_transfer(
        &self,
        transfer: Transfer,
        log: &Log,
        provider: &Provider,
    ) -> Result<()> {
        Ok(())
    }
    fn on_token(&mut self, settings: &Settings) {}
    fn on_log(&mut self, log: Log) -> Result<()> {
        Ok(())
    }
    fn not_a_handler(&self) {}
}
#[automatically_derived]
impl ::nexum_sdk::Module for Watch {
    type Instance = ::nexum_sdk::module::Configured<Watch, Settings>;
    fn init(config: ::nexum_sdk::module::Config) -> ::nexum_sdk::Result<Self::Instance> {
        let given = <Settings as ::nexum_sdk::NexumConfig>::from_config(&config)?;
        let settings = <Settings as ::nexum_sdk::NexumConfig>::from_config(&config)?;
        let module = {
            let returned = <Watch>::init(given);
            ::nexum_sdk::generated::Begun::<Watch>::begun(returned)?
        };
        ::core::result::Result::Ok(::nexum_sdk::module::Configured {
            module,
            config: settings,
        })
    }
    fn on_event(
        instance: &mut Self::Instance,
        event: ::nexum_sdk::Event,
    ) -> ::nexum_sdk::Result<()> {
        let ::nexum_sdk::module::Configured { module, config } = instance;
        match event {
            ::nexum_sdk::Event::Block(payload) => {
                {
                    let returned = <Watch>::on_block(&mut *module, &payload);
                    ::nexum_sdk::generated::Outcome::outcome(returned)?
                };
            }
            ::nexum_sdk::Event::Logs(logs) => {
                for payload in logs {
                    if let ::core::option::Option::Some(decoded) = <Transfer as ::nexum_sdk::generated::LogEvent>::decoded(
                        &payload,
                    ) {
                        let chain_id = payload.chain_id;
                        {
                            let returned = ::nexum_sdk::block_on(
                                <Watch>::on_transfer(
                                    &*module,
                                    decoded,
                                    &payload,
                                    &::nexum_sdk::provider_on(chain_id),
                                ),
                            );
                            ::nexum_sdk::generated::Outcome::outcome(returned)?
                        };
                        continue;
                    }
                    if let ::core::option::Option::Some(_) = <IERC721::Transfer as ::nexum_sdk::generated::LogEvent>::decoded(
                        &payload,
                    ) {
                        {
                            let returned = <Watch>::on_token(&mut *module, config);
                            ::nexum_sdk::generated::Outcome::outcome(returned)?
                        };
                        continue;
                    }
                    {
                        let returned = <Watch>::on_log(&mut *module, payload);
                        ::nexum_sdk::generated::Outcome::outcome(returned)?
                    };
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
        .with("no subscription of tests/it/manifests/configured_logs.toml brings `")
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
    if <IERC721::Transfer as ::nexum_sdk::generated::LogEvent>::ANONYMOUS {
        ::core::panic!(
            "`IERC721::Transfer` is anonymous: its logs have no topic to tell them by; take them by `#[on_log]`, and decode them there"
        );
    }
};
const _: () = {
    const SIGNATURE: &str = <IERC721::Transfer as ::nexum_sdk::generated::LogEvent>::SIGNATURE;
    const TEXT: ::nexum_sdk::config::Text = ::nexum_sdk::config::Text::new()
        .with("no subscription of tests/it/manifests/configured_logs.toml brings `")
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
        &<IERC721::Transfer as ::nexum_sdk::generated::LogEvent>::TOPIC,
    ) {
        ::core::panic!("{}", TEXT.as_str());
    }
};
const _: () = {
    if ::nexum_sdk::generated::has_topic(
        &[<Transfer as ::nexum_sdk::generated::LogEvent>::TOPIC],
        &<IERC721::Transfer as ::nexum_sdk::generated::LogEvent>::TOPIC,
    )
        && <Transfer as ::nexum_sdk::generated::LogEvent>::TOPICS
            == <IERC721::Transfer as ::nexum_sdk::generated::LogEvent>::TOPICS
    {
        ::core::panic!(
            "{}",
            "no log reaches `#[on_log(IERC721::Transfer)]`: `#[on_log(Transfer)]` takes every log of this signature and with as many indexed arguments; take one of the two out"
        );
    }
};
const _: () = {
    const TEXT: ::nexum_sdk::config::Text = ::nexum_sdk::config::complaint(
        &<Settings as ::nexum_sdk::NexumConfig>::SCHEMA,
        "tests/it/manifests/configured_logs.toml:22:12",
        "accounts",
        ::nexum_sdk::config::Given::List(&[::nexum_sdk::config::Given::String]),
    );
    if !TEXT.is_empty() {
        ::core::panic!("{}", TEXT.as_str());
    }
};
const _: () = {
    const TEXT: ::nexum_sdk::config::Text = ::nexum_sdk::config::complaint(
        &<Settings as ::nexum_sdk::NexumConfig>::SCHEMA,
        "tests/it/manifests/configured_logs.toml:21:13",
        "threshold",
        ::nexum_sdk::config::Given::String,
    );
    if !TEXT.is_empty() {
        ::core::panic!("{}", TEXT.as_str());
    }
};
const _: &[u8] = ::core::include_bytes!(
    ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"),
    "/tests/it/manifests/configured_logs.toml")
);

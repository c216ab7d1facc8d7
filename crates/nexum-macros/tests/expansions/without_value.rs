impl Watch {
    async fn on_block(
        provider: &Provider,
        settings: &Settings,
        block: Block,
    ) -> Result<()> {
        Ok(())
    }
}
#[automatically_derived]
impl ::nexum_sdk::Module for Watch {
    type Instance = ::nexum_sdk::module::Configured<(), Settings>;
    fn init(config: ::nexum_sdk::module::Config) -> ::nexum_sdk::Result<Self::Instance> {
        let settings = <Settings as ::nexum_sdk::NexumConfig>::from_config(&config)?;
        let module = ();
        ::core::result::Result::Ok(::nexum_sdk::module::Configured {
            module,
            config: settings,
        })
    }
    fn on_event(
        instance: &mut Self::Instance,
        event: ::nexum_sdk::Event,
    ) -> ::nexum_sdk::Result<()> {
        let config = &instance.config;
        match event {
            ::nexum_sdk::Event::Block(payload) => {
                let chain_id = payload.chain_id;
                {
                    let returned = ::nexum_sdk::block_on(
                        <Watch>::on_block(
                            &::nexum_sdk::provider_on(chain_id),
                            config,
                            payload,
                        ),
                    );
                    ::nexum_sdk::generated::Outcome::outcome(returned)?
                };
            }
            other => ::nexum_sdk::generated::pass_over(&other),
        }
        ::core::result::Result::Ok(())
    }
}
::nexum_sdk::export!(Watch);
const _: () = {
    const TEXT: ::nexum_sdk::config::Text = ::nexum_sdk::config::complaint(
        &<Settings as ::nexum_sdk::NexumConfig>::SCHEMA,
        "tests/it/manifests/configured.toml:16:13",
        "threshold",
        ::nexum_sdk::config::Given::Integer,
    );
    if !TEXT.is_empty() {
        ::core::panic!("{}", TEXT.as_str());
    }
};
const _: &[u8] = ::core::include_bytes!(
    ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"),
    "/tests/it/manifests/configured.toml")
);

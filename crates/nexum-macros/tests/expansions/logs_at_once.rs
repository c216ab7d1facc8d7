impl Watch {
    async fn on_logs(&mut self, logs: &[Log], provider: &Provider) {}
    fn on_block(&self) {}
}
#[automatically_derived]
impl ::nexum_sdk::Module for Watch {
    type Instance = Watch;
    fn init(config: ::nexum_sdk::module::Config) -> ::nexum_sdk::Result<Self::Instance> {
        <() as ::nexum_sdk::NexumConfig>::from_config(&config)?;
        ::core::result::Result::Ok(
            <Watch as ::nexum_sdk::generated::ByDefault>::by_default(),
        )
    }
    fn on_event(
        instance: &mut Self::Instance,
        event: ::nexum_sdk::Event,
    ) -> ::nexum_sdk::Result<()> {
        let module = instance;
        match event {
            ::nexum_sdk::Event::Block(payload) => {
                {
                    let returned = <Watch>::on_block(&*module);
                    ::nexum_sdk::generated::Outcome::outcome(returned)?
                };
            }
            ::nexum_sdk::Event::Logs(payload) => {
                let ::core::option::Option::Some(chain_id) = payload
                    .first()
                    .map(|log| log.chain_id) else {
                    return ::core::result::Result::Ok(());
                };
                {
                    let returned = ::nexum_sdk::block_on(
                        <Watch>::on_logs(
                            &mut *module,
                            &payload,
                            &::nexum_sdk::provider_on(chain_id),
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
const _: &[u8] = ::core::include_bytes!(
    ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/tests/it/manifests/all.toml")
);

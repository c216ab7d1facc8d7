impl Watch {
    fn init() -> Self {
        Self
    }
    fn on_event(&mut self, event: Event) -> Result<()> {
        Ok(())
    }
}
#[automatically_derived]
impl ::nexum_sdk::Module for Watch {
    type Instance = Watch;
    fn init(config: ::nexum_sdk::module::Config) -> ::nexum_sdk::Result<Self::Instance> {
        <() as ::nexum_sdk::NexumConfig>::from_config(&config)?;
        ::core::result::Result::Ok({
            let returned = <Watch>::init();
            ::nexum_sdk::generated::Begun::<Watch>::begun(returned)?
        })
    }
    fn on_event(
        instance: &mut Self::Instance,
        event: ::nexum_sdk::Event,
    ) -> ::nexum_sdk::Result<()> {
        let module = instance;
        {
            let returned = <Watch>::on_event(&mut *module, event);
            ::nexum_sdk::generated::Outcome::outcome(returned)?
        };
        ::core::result::Result::Ok(())
    }
}
::nexum_sdk::export!(Watch);
const _: &[u8] = ::core::include_bytes!(
    ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/tests/it/manifests/all.toml")
);

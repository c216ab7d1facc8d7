//! What `#[nexum::module]` writes for a module, and how an instance is called.
//!
//! An author may implement [`Module`] by hand and name the type in [`export!`](crate::export).

use std::cell::RefCell;

use crate::{ConfigValue, Event, HostError, Result, bindings::nexum::host::types as raw};

/// One instance of a module. After a call that failed it is thrown away, and a fresh one begins
/// with [`Module::init`] on the state as the last successful call left it.
pub trait Module: Sized + 'static {
    /// Prepares a fresh instance. `config` has the manifest's entries with the operator's values
    /// laid over them, in the order of their keys.
    fn init(config: Config) -> Result<Self>;

    /// Takes one event. On an error, or a panic, nothing that the call wrote is kept, and the
    /// event comes again.
    fn on_event(&mut self, event: Event) -> Result<()>;
}

/// A module's configuration: entries in the order of their keys, each key once. The entries of a
/// nested table have dotted keys, such as `limits.daily`.
pub type Config = Vec<(String, ConfigValue)>;

/// Where an exported module's instance is kept between calls.
#[doc(hidden)]
pub type Slot<M> = RefCell<Option<M>>;

#[doc(hidden)]
pub fn init<M: Module>(slot: &Slot<M>, config: raw::Config) -> Result<(), raw::HostError> {
    let config = config
        .into_iter()
        .map(|(key, value)| (key, value.into()))
        .collect();
    let module = M::init(config)?;
    slot.replace(Some(module));
    Ok(())
}

#[doc(hidden)]
pub fn on_event<M: Module>(slot: &Slot<M>, event: raw::Event) -> Result<(), raw::HostError> {
    let event = Event::try_from(event)?;
    match slot.borrow_mut().as_mut() {
        Some(module) => Ok(module.on_event(event)?),
        None => Err(HostError::internal("the engine gave an event before init").into()),
    }
}

/// Makes a type that implements [`Module`] the component's module. `#[nexum::module]` does it.
#[macro_export]
macro_rules! export {
    ($module:ty) => {
        const _: () = {
            ::std::thread_local! {
                static INSTANCE: $crate::module::Slot<$module> =
                    const { ::std::cell::RefCell::new(None) };
            }

            struct Exported;

            impl $crate::bindings::Guest for Exported {
                fn init(
                    config: $crate::bindings::nexum::host::types::Config,
                ) -> ::core::result::Result<(), $crate::bindings::nexum::host::types::HostError>
                {
                    INSTANCE.with(|slot| $crate::module::init(slot, config))
                }

                fn on_event(
                    event: $crate::bindings::nexum::host::types::Event,
                ) -> ::core::result::Result<(), $crate::bindings::nexum::host::types::HostError>
                {
                    INSTANCE.with(|slot| $crate::module::on_event(slot, event))
                }
            }

    $crate::bindings::__export_event_module!(Exported with_types_in $crate::bindings);
        };
    };
}

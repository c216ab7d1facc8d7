//! What `#[nexum::module]` writes for a module, and how an instance is called.
//!
//! An author may implement [`Module`] by hand and name the type in [`export!`](crate::export).

use std::cell::RefCell;

use crate::{ConfigValue, Event, HostError, Result, bindings::nexum::host::types as raw};

/// A module: how an instance begins, and what it does with an event.
///
/// After a call that failed the instance is thrown away, and a fresh one begins with
/// [`Module::init`] on the state as the last successful call left it.
pub trait Module: 'static {
    /// What is kept from call to call: by hand mostly `Self`. `#[nexum::module]` chooses the
    /// module's type, `()` where no handler has a `self`, or [`Configured`].
    type Instance: 'static;

    /// Prepares a fresh instance. `config` has the manifest's entries with the operator's values
    /// laid over them, in the order of their keys.
    fn init(config: Config) -> Result<Self::Instance>;

    /// Takes one event. On an error, or a panic, nothing that the call wrote is kept, and the
    /// event comes again.
    fn on_event(instance: &mut Self::Instance, event: Event) -> Result<()>;
}

/// The instance of a module whose handlers take its typed configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured<M, C> {
    /// The module's value; `()` where no handler has a `self`.
    pub module: M,
    /// The configuration as it was read when the instance began.
    pub config: C,
}

/// A module's configuration: entries in the order of their keys, each key once. The entries of a
/// nested table have dotted keys, such as `limits.daily`.
pub type Config = Vec<(String, ConfigValue)>;

/// Where an exported module's instance is kept between calls.
#[doc(hidden)]
pub type Slot<M> = RefCell<Option<<M as Module>::Instance>>;

#[doc(hidden)]
pub fn init<M: Module>(slot: &Slot<M>, config: raw::Config) -> Result<(), raw::HostError> {
    let config = config
        .into_iter()
        .map(|(key, value)| (key, value.into()))
        .collect();
    let instance = M::init(config)?;
    slot.replace(Some(instance));
    Ok(())
}

#[doc(hidden)]
pub fn on_event<M: Module>(slot: &Slot<M>, event: raw::Event) -> Result<(), raw::HostError> {
    let event = Event::try_from(event)?;
    match slot.borrow_mut().as_mut() {
        Some(instance) => Ok(M::on_event(instance, event)?),
        None => Err(HostError::internal("the engine gave an event before init").into()),
    }
}

/// Makes a type that implements [`Module`] the component's module. `#[nexum::module]` does it.
///
/// Natively it only holds that the type is one: there a host calls the type itself, and one test
/// may have many modules.
#[macro_export]
macro_rules! export {
    ($module:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            const fn is_a_module<M: $crate::Module>() {}
            is_a_module::<$module>();
        };

        #[cfg(target_family = "wasm")]
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
                    INSTANCE.with(|slot| $crate::module::init::<$module>(slot, config))
                }

                fn on_event(
                    event: $crate::bindings::nexum::host::types::Event,
                ) -> ::core::result::Result<(), $crate::bindings::nexum::host::types::HostError>
                {
                    INSTANCE.with(|slot| $crate::module::on_event::<$module>(slot, event))
                }
            }

    $crate::bindings::__export_event_module!(Exported with_types_in $crate::bindings);
        };
    };
}

//! Natively: the host of this thread.

use std::{cell::RefCell, marker::PhantomData, rc::Rc};

use super::Host;
use crate::log::{self, Level};

thread_local! {
    static HOST: RefCell<Option<Rc<dyn Host>>> = const { RefCell::new(None) };
}

/// Installs `host` for this thread until the value that it answers is dropped, which puts back
/// what was there before. Until then every level of the log is let through, unless the module says
/// otherwise.
#[must_use = "the host is there for as long as this value lives"]
pub fn install(host: Rc<dyn Host>) -> Installed {
    Installed {
        before: HOST.with(|slot| slot.replace(Some(host))),
        level: log::replace_max_level(Level::Trace),
        this_thread: PhantomData,
    }
}

/// A host is installed for as long as this lives.
pub struct Installed {
    before: Option<Rc<dyn Host>>,
    level: Level,
    this_thread: PhantomData<*const ()>,
}

impl Drop for Installed {
    fn drop(&mut self) {
        HOST.with(|slot| slot.replace(self.before.take()));
        log::set_max_level(self.level);
    }
}

/// Calls the host of this thread.
///
/// # Panics
///
/// Where no host is installed: natively there is none but what a test brings.
pub(crate) fn with<T>(call: impl FnOnce(&dyn Host) -> T) -> T {
    let host = HOST.with(|slot| slot.borrow().clone());
    match host {
        Some(host) => call(&*host),
        None => panic!(
            "there is no host on this thread: a host function was called natively, outside of a \
             call that `nexum_sdk::testing::MockHost` makes"
        ),
    }
}

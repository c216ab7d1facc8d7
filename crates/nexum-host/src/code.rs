//! Compiled code. Modules whose components have the same bytes share it: one bundle that runs
//! under a hundred names is compiled once, and is in memory once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use nexum_manifest::Sha256;
use wasmtime::{Engine, component::Component};

use crate::load::LoadError;

/// What compiling came to. Whoever asks first compiles; whoever asks meanwhile waits.
type Slot = OnceLock<Result<Component, String>>;

/// The code of all components that are in use, by the digest of their bytes.
#[derive(Default)]
pub(crate) struct CodeCache(Mutex<HashMap<Sha256, Weak<Slot>>>);

/// The code of one component. It is shared for as long as one of these is there.
#[derive(Clone)]
pub(crate) struct Code(Arc<Slot>);

impl CodeCache {
    /// The code of the bytes that have this digest; not compiled yet, where nobody uses it.
    pub(crate) fn code_of(&self, digest: Sha256) -> Code {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&digest).and_then(Weak::upgrade) {
            return Code(slot);
        }
        slots.retain(|_, slot| slot.strong_count() > 0);
        let slot = Arc::new(Slot::new());
        slots.insert(digest, Arc::downgrade(&slot));
        Code(slot)
    }
}

impl Code {
    /// The component itself, compiled now if it is not yet. `bytes` must have the digest that
    /// the code was asked for by. Takes processor time in proportion to their size.
    pub(crate) fn compile(&self, engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
        self.0
            .get_or_init(|| Component::new(engine, bytes).map_err(|error| format!("{error:#}")))
            .clone()
            .map_err(LoadError::Compile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_shared_while_it_is_in_use() {
        const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
        let (cache, engine) = (CodeCache::default(), Engine::default());
        let digest = |byte| Sha256([byte; 32]);
        let first = cache.code_of(digest(1));
        let component = first.compile(&engine, EMPTY_COMPONENT).unwrap();
        let again = cache.code_of(digest(1));
        assert_eq!(
            again.compile(&engine, b"").unwrap().image_range(),
            component.image_range()
        );

        drop((first, again));
        let anew = cache.code_of(digest(1));
        assert!(anew.compile(&engine, b"").is_err(), "it was let go of");
    }
}

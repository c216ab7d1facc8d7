//! Compiled code in memory. Modules whose components have the same bytes share it: one bundle
//! that runs under a hundred names is compiled once, and is in memory once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use nexum_manifest::Sha256;
use wasmtime::{Engine, component::Component};

use crate::{
    kept_code::{self, CodeKey, CodeOrigin, CompiledCode, KeptCode},
    load::LoadError,
    shape, work,
};

/// What compiling came to. Whoever asks first compiles; whoever asks meanwhile waits.
type Slot = OnceLock<Result<Component, LoadError>>;

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
    /// The code itself: shared, or kept, or compiled now. `bytes` must have the digest that it was
    /// asked for by. Compiling takes processor time in proportion to their size.
    pub(crate) fn get(
        &self,
        engine: &Engine,
        key: CodeKey,
        bytes: &[u8],
        kept: &dyn KeptCode,
    ) -> Result<CompiledCode, LoadError> {
        let mut origin = CodeOrigin::Shared;
        let component = self.0.get_or_init(|| {
            if let Some(component) = kept_code::load(kept, key, engine) {
                origin = CodeOrigin::Kept;
                return Ok(component);
            }
            origin = CodeOrigin::Compiled;
            shape::check(bytes)?;
            work::check(bytes)?;
            Component::new(engine, bytes).map_err(|error| LoadError::Compile(format!("{error:#}")))
        });
        match component {
            Ok(component) => Ok(CompiledCode {
                key,
                origin,
                component: component.clone(),
            }),
            Err(error) => Err(error.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NothingKept;

    #[test]
    fn code_is_shared_while_it_is_in_use() {
        const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
        let (cache, engine) = (CodeCache::default(), Engine::default());
        let key = CodeKey {
            component: Sha256([1; 32]),
            build: Sha256([0; 32]),
        };
        let get = |code: &Code, bytes| code.get(&engine, key, bytes, &NothingKept);
        let first = cache.code_of(key.component);
        let compiled = get(&first, EMPTY_COMPONENT).unwrap();
        assert_eq!(compiled.origin(), CodeOrigin::Compiled);
        let again = cache.code_of(key.component);
        let shared = get(&again, b"").unwrap();
        assert_eq!(shared.origin(), CodeOrigin::Shared);
        assert_eq!(
            shared.component.image_range(),
            compiled.component.image_range()
        );

        drop((first, again));
        let anew = cache.code_of(key.component);
        assert!(get(&anew, b"").is_err(), "it was let go of");
    }
}

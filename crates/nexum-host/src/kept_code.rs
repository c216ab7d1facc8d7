//! Compiled code that outlives the process: the port to wherever it is kept, the form in which it
//! is kept, and the way back.
//!
//! The way back is the one place of the project with unsafe code: what is loaded here runs as it
//! is, in the engine's own process. Whatever does not verify is as if it were not there.

use std::{
    fmt,
    hash::{Hash as _, Hasher},
};

use nexum_manifest::Sha256;
use sha2::Digest as _;
use wasmtime::{Engine, component::Component};

/// What begins each file of kept code; the digits are the version of the form.
const MAGIC: [u8; 8] = *b"nexumc01";
/// Magic, component, build, and the sha256 of the code that follows.
const HEADER_BYTES: usize = MAGIC.len() + 3 * 32;

/// The versions of all that the engine is built of. Code of a compiler with a fault that has been
/// mended since is not taken, even if nothing else has changed.
const DEPENDENCIES: &[u8] = include_bytes!("../../../Cargo.lock");

/// What kept code is the code of. It is of use for no other component, and in no other build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodeKey {
    /// The digest of the component's bytes.
    pub component: Sha256,
    /// What has compiled them: version and dependencies of the engine, its settings, the
    /// features of the processor.
    pub build: Sha256,
}

/// Where compiled code is kept.
///
/// What is read here is run, with all the rights of the process. Whoever implements this answers
/// only what stood in a place that nobody but the process's own user can write to.
pub trait KeptCode: fmt::Debug + Send + Sync {
    /// What is kept for `key`, not verified any further; `None` where there is nothing that can
    /// be trusted. May wait for a disk.
    fn read(&self, key: CodeKey) -> Option<Vec<u8>>;
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy)]
pub struct NothingKept;

impl KeptCode for NothingKept {
    fn read(&self, _: CodeKey) -> Option<Vec<u8>> {
        None
    }
}

/// How a module came by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeOrigin {
    /// It was compiled.
    Compiled,
    /// It was compiled by an earlier process, and kept.
    Kept,
    /// A module of the same bytes had it in memory.
    Shared,
}

/// A module's compiled code.
#[derive(Clone)]
pub struct CompiledCode {
    pub(crate) key: CodeKey,
    pub(crate) origin: CodeOrigin,
    pub(crate) component: Component,
}

/// Why code cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("compiled code cannot be written out: {0}")]
pub struct SerializeError(String);

impl CompiledCode {
    /// What it is the code of.
    #[must_use]
    pub fn key(&self) -> CodeKey {
        self.key
    }

    /// How it came to be here.
    #[must_use]
    pub fn origin(&self) -> CodeOrigin {
        self.origin
    }

    /// What [`KeptCode::read`] is to answer for its key. Copies all of the code: call it where
    /// blocking is allowed.
    pub fn kept_form(&self) -> Result<Vec<u8>, SerializeError> {
        let code = self.component.serialize();
        let code = code.map_err(|error| SerializeError(format!("{error:#}")))?;
        Ok(pack(self.key, &code))
    }
}

impl fmt::Debug for CompiledCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledCode")
            .field("key", &self.key)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// What code that `engine` compiles is of use for.
pub(crate) fn build_of(engine: &Engine) -> Sha256 {
    let mut hasher = Digester(sha2::Sha256::new());
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    DEPENDENCIES.hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    Sha256(hasher.0.finalize().into())
}

/// What `kept` has for `key`, as a component.
#[expect(
    unsafe_code,
    reason = "compiled code can only be loaded by trusting it; see docs/adr/0021"
)]
pub(crate) fn load(kept: &dyn KeptCode, key: CodeKey, engine: &Engine) -> Option<Component> {
    let bytes = kept.read(key)?;
    let Some(code) = unpack(key, &bytes) else {
        tracing::warn!(component = %key.component, "kept code does not verify, and is compiled anew");
        return None;
    };
    // SAFETY: the bytes must be what `Component::serialize` has answered. They are: they come from
    // a place that only this process's user can write to (the contract of `KeptCode`), where
    // nothing is put but `CompiledCode::kept_form`, and the sha256 in front of them says that they
    // are whole. They are in memory of ours, so nobody changes them after that. wasmtime itself
    // refuses code of other versions, settings and processors.
    let component = unsafe { Component::deserialize(engine, code) };
    component
        .inspect_err(|error| {
            tracing::warn!(component = %key.component, error = %format_args!("{error:#}"), "kept code cannot be loaded, and is compiled anew");
        })
        .ok()
}

fn pack(key: CodeKey, code: &[u8]) -> Vec<u8> {
    let digest: [u8; 32] = sha2::Sha256::digest(code).into();
    [&MAGIC[..], &key.component.0, &key.build.0, &digest, code].concat()
}

/// The code, if it is that of the key and whole.
fn unpack(key: CodeKey, bytes: &[u8]) -> Option<&[u8]> {
    let (header, code) = bytes.split_at_checked(HEADER_BYTES)?;
    let digest: [u8; 32] = sha2::Sha256::digest(code).into();
    let expected = [&MAGIC[..], &key.component.0, &key.build.0, &digest].concat();
    (header == expected).then_some(code)
}

/// Hashes by sha256: what is hashed is put together by others, who know hashers only.
struct Digester(sha2::Sha256);

impl Hasher for Digester {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Mutex};

    use super::*;

    /// A component with one core module in it, so that there is code.
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0\x01\x08\0asm\x01\0\0\0";

    #[derive(Debug, Default)]
    struct Memory(Mutex<HashMap<CodeKey, Vec<u8>>>);

    impl KeptCode for Memory {
        fn read(&self, key: CodeKey) -> Option<Vec<u8>> {
            self.0.lock().unwrap().get(&key).cloned()
        }
    }

    impl Memory {
        fn with(key: CodeKey, bytes: Vec<u8>) -> Self {
            Self(Mutex::new(HashMap::from([(key, bytes)])))
        }
    }

    fn compiled(engine: &Engine) -> CompiledCode {
        CompiledCode {
            key: CodeKey {
                component: Sha256([1; 32]),
                build: build_of(engine),
            },
            origin: CodeOrigin::Compiled,
            component: Component::new(engine, COMPONENT).unwrap(),
        }
    }

    #[test]
    fn kept_code_comes_back() {
        let engine = Engine::default();
        let code = compiled(&engine);
        let kept = Memory::with(code.key(), code.kept_form().unwrap());
        let loaded = load(&kept, code.key(), &engine).unwrap();
        assert_eq!(
            loaded.serialize().unwrap(),
            code.component.serialize().unwrap()
        );
        assert!(load(&NothingKept, code.key(), &engine).is_none());
    }

    /// Whatever byte is another one, whatever is missing and whatever is too much.
    #[test]
    fn what_is_not_whole_is_not_there() {
        let key = CodeKey {
            component: Sha256([1; 32]),
            build: Sha256([2; 32]),
        };
        let whole = pack(key, b"some code");
        assert_eq!(unpack(key, &whole), Some(&b"some code"[..]));
        for at in 0..whole.len() {
            assert_eq!(unpack(key, &whole[..at]), None, "cut at {at}");
            let mut tampered = whole.clone();
            tampered[at] ^= 1;
            assert_eq!(unpack(key, &tampered), None, "another byte at {at}");
        }
        assert_eq!(unpack(key, &[&whole[..], b"x"].concat()), None);
    }

    #[test]
    fn code_of_another_component_or_build_is_not_there() {
        let engine = Engine::default();
        let code = compiled(&engine);
        let form = code.kept_form().unwrap();
        let (component, build) = (Sha256([9; 32]), Sha256([9; 32]));
        for other in [
            CodeKey {
                component,
                ..code.key()
            },
            CodeKey {
                build,
                ..code.key()
            },
        ] {
            let kept = Memory::with(other, form.clone());
            assert!(load(&kept, other, &engine).is_none(), "{other:?}");
        }
    }

    /// The sha256 holds, and wasmtime refuses what it says it has not written.
    #[test]
    fn what_wasmtime_refuses_is_not_there() {
        let engine = Engine::default();
        let key = compiled(&engine).key();
        let kept = Memory::with(key, pack(key, b"no code at all"));
        assert!(load(&kept, key, &engine).is_none());
    }

    #[test]
    fn settings_make_another_build() {
        let engine = |fuel| Engine::new(wasmtime::Config::new().consume_fuel(fuel)).unwrap();
        assert_eq!(build_of(&engine(true)), build_of(&engine(true)));
        assert_ne!(build_of(&engine(true)), build_of(&engine(false)));
    }
}

//! Compiled code kept on disk, in `<state_dir>/code`, so that a start compiles only what is new.
//!
//! It is read before the `state_dir` may exist, and written only by who holds it. It can be removed
//! at any time: nothing depends on it, and no failure of it ends anything. What is read from it is
//! run, so it is believed only where nobody else can write.

mod folder;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use nexum_host::{CodeKey, CodeOrigin, CompiledCode, KeptCode};
use nexum_manifest::Sha256;
use nexum_store::StateDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use folder::{Fault, Folder, Listed};

/// The largest code of one component, in bytes.
const MAX_CODE_BYTES: u64 = 256 * 1024 * 1024;
/// All of it together, in bytes. The code that was not used for the longest time goes first.
const MAX_CACHE_BYTES: u64 = 1024 * 1024 * 1024;

/// The code kept in one `state_dir`.
#[derive(Debug)]
pub(crate) struct CodeCache {
    state_dir: PathBuf,
    max_code_bytes: u64,
    max_cache_bytes: u64,
    /// Whether it has been told that something cannot be read, and that it cannot be written.
    told_reading: AtomicBool,
    told_writing: AtomicBool,
    /// Held while something is kept: who tidies up would take away what another is writing.
    writing: Mutex<()>,
}

/// The cache of an engine that runs, and what is being kept in it beside that.
#[derive(Debug)]
pub(crate) struct Keeping {
    cache: Arc<CodeCache>,
    /// The folder is locked for as long as something is written to it.
    state_dir: Arc<StateDir>,
    tasks: TaskTracker,
    given_up: CancellationToken,
}

/// How the modules of a start came by their code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CodeOrigins {
    /// Compiled.
    pub compiled: usize,
    /// Compiled by an earlier start, and kept on disk.
    pub kept: usize,
    /// Shared with a module of the same bytes.
    pub shared: usize,
}

impl CodeOrigins {
    pub(crate) fn of<'a>(codes: impl IntoIterator<Item = &'a CompiledCode>) -> Self {
        let mut origins = Self::default();
        for code in codes {
            match code.origin() {
                CodeOrigin::Compiled => origins.compiled += 1,
                CodeOrigin::Kept => origins.kept += 1,
                CodeOrigin::Shared => origins.shared += 1,
            }
        }
        origins
    }
}

impl Keeping {
    pub(crate) fn new(cache: Arc<CodeCache>, state_dir: Arc<StateDir>) -> Self {
        Self {
            cache,
            state_dir,
            tasks: TaskTracker::new(),
            given_up: CancellationToken::new(),
        }
    }

    pub(crate) fn cache(&self) -> Arc<CodeCache> {
        Arc::clone(&self.cache)
    }

    /// Keeps `codes` for the next start, beside whatever else is done.
    pub(crate) fn keep(&self, codes: Vec<CompiledCode>) {
        let (cache, state_dir) = (Arc::clone(&self.cache), Arc::clone(&self.state_dir));
        let given_up = self.given_up.clone();
        self.tasks
            .spawn_blocking(move || cache.keep(&state_dir, &codes, &given_up));
    }

    /// Waits until all is kept.
    pub(crate) async fn end(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.given_up.cancel();
    }
}

impl CodeCache {
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self {
            state_dir: state_dir.to_owned(),
            max_code_bytes: MAX_CODE_BYTES,
            max_cache_bytes: MAX_CACHE_BYTES,
            told_reading: AtomicBool::new(false),
            told_writing: AtomicBool::new(false),
            writing: Mutex::new(()),
        }
    }

    /// Keeps what of `codes` was compiled, and takes out what is of no use any more. Waits for the
    /// disk, and ends early once `given_up`. The folder is that of the `state_dir` that is held.
    fn keep(&self, _held: &StateDir, codes: &[CompiledCode], given_up: &CancellationToken) {
        // What is shared with another engine's modules is that engine's to keep.
        let own = |code: &&CompiledCode| code.origin() != CodeOrigin::Shared;
        let codes: BTreeMap<String, &CompiledCode> = codes
            .iter()
            .filter(own)
            .map(|code| (file_name(code.key()), code))
            .collect();
        let Some(build) = codes.values().next().map(|code| code.key().build) else {
            return;
        };
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = match Folder::make(&self.state_dir) {
            Ok(folder) => folder,
            Err(fault) => return self.tell_writing(&fault),
        };
        self.or_tell(self.remove_useless(&folder, build));
        for (name, code) in codes {
            if given_up.is_cancelled() {
                return;
            }
            if code.origin() == CodeOrigin::Kept {
                self.or_tell(folder.touch(&name));
                continue;
            }
            match code.kept_form() {
                Ok(bytes) if bytes.len() as u64 > self.max_code_bytes => {
                    tracing::debug!(component = %code.key().component, bytes = bytes.len(), "compiled code is too large to be kept");
                }
                Ok(bytes) => self.or_tell(folder.write(&name, &bytes)),
                Err(error) => self.tell_writing(&error),
            }
        }
        self.or_tell(self.remove_oldest(&folder));
    }

    /// Removes the code of other builds, and what a crash has left of files.
    fn remove_useless(&self, folder: &Folder, build: Sha256) -> Result<(), Fault> {
        let of_build = suffix(build);
        let useless =
            |name: &str| folder::is_unnamed(name) || (is_code(name) && !name.ends_with(&of_build));
        for Listed { name, .. } in folder.list()? {
            if useless(&name) {
                self.or_tell(folder.remove(&name));
            }
        }
        Ok(())
    }

    /// Removes code until the rest is within the bound, what was not used for longest first.
    fn remove_oldest(&self, folder: &Folder) -> Result<(), Fault> {
        let mut files = folder.list()?;
        files.retain(|file| is_code(&file.name));
        files.sort_by_key(|file| file.used);
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        for file in files {
            if total <= self.max_cache_bytes {
                break;
            }
            self.or_tell(folder.remove(&file.name));
            total = total.saturating_sub(file.bytes);
        }
        Ok(())
    }

    fn or_tell(&self, done: Result<(), Fault>) {
        if let Err(fault) = done {
            self.tell_writing(&fault);
        }
    }

    /// Once is enough: what one file cannot, the others mostly cannot either.
    fn tell_writing(&self, fault: &dyn fmt::Display) {
        if self.told_writing.swap(true, Ordering::Relaxed) {
            tracing::debug!(error = %fault, "compiled code is not kept");
        } else {
            tracing::warn!(error = %fault, "compiled code is not kept; the next start compiles again");
        }
    }
}

impl KeptCode for CodeCache {
    fn read(&self, key: CodeKey) -> Option<Vec<u8>> {
        let read = Folder::open(&self.state_dir).and_then(|folder| match folder {
            Some(folder) => folder.read(&file_name(key), self.max_code_bytes),
            None => Ok(None),
        });
        read.unwrap_or_else(|fault| {
            if self.told_reading.swap(true, Ordering::Relaxed) {
                tracing::debug!(error = %fault, "kept code is not trusted");
            } else {
                tracing::warn!(error = %fault, "kept code is not trusted, and is compiled anew");
            }
            None
        })
    }
}

/// `<component>-<build>.code`, of the build the first half.
fn file_name(key: CodeKey) -> String {
    format!("{}{}", key.component, suffix(key.build))
}

fn suffix(build: Sha256) -> String {
    let build = build.to_string();
    format!("-{}{EXTENSION}", &build[..build.len() / 2])
}

const EXTENSION: &str = ".code";

/// Whether a name can be that of code, of whatever build. Other files are left alone.
fn is_code(name: &str) -> bool {
    let stem = name.strip_suffix(EXTENSION);
    let parts = stem.and_then(|stem| stem.split_once('-'));
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.is_some_and(|(component, build)| {
        (component.len(), build.len()) == (64, 32) && is_hex(component) && is_hex(build)
    })
}

#[cfg(test)]
mod tests;

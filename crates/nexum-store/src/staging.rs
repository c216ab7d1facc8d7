//! A file under redb that is not written to before it is known to be sound.
//!
//! Opening a database writes: a flag into the header, and repairs after a crash. [`Staging`]
//! keeps those writes in memory until [`Staging::release`] replays them, in order, before the
//! first commit. A file that turns out to be damaged, or of a newer format, thus stays as it was,
//! byte for byte; and so does one that is only read.
//!
//! What the file holds decides what opening makes of it. So nothing is lost when the staging is
//! never released: the next opening does the same again.

use std::{
    fs::File,
    io,
    ops::Bound,
    os::unix::fs::FileExt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{BackendError, StorageBackend};

/// A backend whose writes are held back until they are released. Clones share one file.
#[derive(Debug, Clone)]
pub(crate) struct Staging(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    below: Box<dyn StorageBackend>,
    /// Once set, every operation goes straight to the backend below.
    released: AtomicBool,
    overlay: RwLock<Overlay>,
}

#[derive(Debug)]
struct Overlay {
    len: u64,
    /// How much of the backend below can still be seen: a cut hides the rest for good.
    visible: u64,
    steps: Vec<Step>,
}

/// One held-back operation. Opening makes a handful of them, so reads go through them all.
#[derive(Debug)]
enum Step {
    Write { offset: u64, data: Vec<u8> },
    SetLen(u64),
    Sync,
}

impl Staging {
    /// Holds back every write to `below` until [`Self::release`].
    pub(crate) fn over(below: Box<dyn StorageBackend>) -> io::Result<Self> {
        let len = below.len()?;
        let overlay = RwLock::new(Overlay {
            len,
            visible: len,
            steps: Vec::new(),
        });
        Ok(Self(Arc::new(Inner {
            below,
            released: AtomicBool::new(false),
            overlay,
        })))
    }

    /// Replays what was held back, and holds nothing back from now on. Once done, doing it again
    /// costs nothing.
    pub(crate) fn release(&self) -> io::Result<()> {
        if self.0.released.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut overlay = self
            .0
            .overlay
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for step in &overlay.steps {
            match step {
                Step::Write { offset, data } => self.0.below.write(*offset, data)?,
                Step::SetLen(len) => self.0.below.set_len(*len)?,
                Step::Sync => self.0.below.sync_data()?,
            }
        }
        overlay.steps = Vec::new();
        self.0.released.store(true, Ordering::Release);
        Ok(())
    }

    /// Runs `staged` on the overlay, or answers `None` once released.
    fn staged<T>(&self, staged: impl FnOnce(&mut Overlay) -> T) -> Option<T> {
        if self.0.released.load(Ordering::Acquire) {
            return None;
        }
        let mut overlay = self
            .0
            .overlay
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // The release may have happened while this waited for the lock.
        (!self.0.released.load(Ordering::Acquire)).then(|| staged(&mut overlay))
    }
}

impl Overlay {
    fn read(&self, below: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset + out.len() as u64;
        if end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let seen = usize::try_from(self.visible.saturating_sub(offset))
            .map_or(out.len(), |seen| seen.min(out.len()));
        out[seen..].fill(0);
        if seen > 0 {
            below.read(offset, &mut out[..seen])?;
        }
        for step in &self.steps {
            match step {
                Step::Write { offset: at, data } => overlay_bytes(offset, out, *at, data),
                // What lies beyond a cut is gone; growing again fills with zeros.
                Step::SetLen(len) if *len < end => {
                    let kept = usize::try_from(len.saturating_sub(offset)).unwrap_or(0);
                    out[kept..].fill(0);
                }
                Step::SetLen(_) | Step::Sync => {}
            }
        }
        Ok(())
    }
}

/// Copies the part of `data`, which stands at `at`, that falls into `out`, which stands at
/// `offset`.
fn overlay_bytes(offset: u64, out: &mut [u8], at: u64, data: &[u8]) {
    let start = offset.max(at);
    let end = (offset + out.len() as u64).min(at + data.len() as u64);
    if start >= end {
        return;
    }
    // Both differences are lengths inside slices.
    let (to, from, len) = (
        (start - offset) as usize,
        (start - at) as usize,
        (end - start) as usize,
    );
    out[to..to + len].copy_from_slice(&data[from..from + len]);
}

impl StorageBackend for Staging {
    fn len(&self) -> io::Result<u64> {
        self.staged(|overlay| Ok(overlay.len))
            .unwrap_or_else(|| self.0.below.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.staged(|overlay| overlay.read(&*self.0.below, offset, out)) {
            Some(result) => result,
            None => self.0.below.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let staged = self.staged(|overlay| {
            overlay.len = len;
            overlay.visible = overlay.visible.min(len);
            overlay.steps.push(Step::SetLen(len));
        });
        if staged.is_some() {
            Ok(())
        } else {
            self.0.below.set_len(len)
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        let staged = self.staged(|overlay| overlay.steps.push(Step::Sync));
        if staged.is_some() {
            Ok(())
        } else {
            self.0.below.sync_data()
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let staged = self.staged(|overlay| {
            overlay.len = overlay.len.max(offset + data.len() as u64);
            overlay.steps.push(Step::Write {
                offset,
                data: data.to_vec(),
            });
        });
        if staged.is_some() {
            Ok(())
        } else {
            self.0.below.write(offset, data)
        }
    }

    fn close(&self) -> io::Result<()> {
        self.0.below.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.below.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.below.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.below.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.below.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.below.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.below.query_lock_range(start, end)
    }
}

/// A file that cannot be written to, and is not locked: who else may have it open is settled
/// before.
#[derive(Debug)]
pub(crate) struct ReadOnlyFile(pub(crate) File);

impl StorageBackend for ReadOnlyFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn write(&self, _offset: u64, _data: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    /// A backend of ten bytes, the staging over it, and a view below the staging.
    fn ten_bytes() -> (Staging, Arc<InMemoryBackend>) {
        #[derive(Debug)]
        struct Shared(Arc<InMemoryBackend>);
        impl StorageBackend for Shared {
            fn len(&self) -> io::Result<u64> {
                self.0.len()
            }
            fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
                self.0.read(offset, out)
            }
            fn set_len(&self, len: u64) -> io::Result<()> {
                self.0.set_len(len)
            }
            fn sync_data(&self) -> io::Result<()> {
                self.0.sync_data()
            }
            fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
                self.0.write(offset, data)
            }
        }
        let below = Arc::new(InMemoryBackend::new());
        below.set_len(10).unwrap();
        below.write(0, b"0123456789").unwrap();
        (
            Staging::over(Box::new(Shared(Arc::clone(&below)))).unwrap(),
            below,
        )
    }

    fn all(backend: &impl StorageBackend) -> Vec<u8> {
        let mut bytes = vec![0xff; usize::try_from(backend.len().unwrap()).unwrap()];
        backend.read(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn reads_see_what_is_held_back_and_the_file_sees_nothing() {
        let (staging, below) = ten_bytes();
        staging.write(2, b"abc").unwrap();
        staging.write(4, b"XY").unwrap();
        staging.set_len(12).unwrap();
        staging.write(9, b"end").unwrap();
        assert_eq!(all(&staging), b"01abXY678end");
        let mut middle = [0; 3];
        staging.read(3, &mut middle).unwrap();
        assert_eq!(&middle, b"bXY");
        assert_eq!(all(&*below), b"0123456789");

        staging.release().unwrap();
        assert_eq!(all(&*below), b"01abXY678end");
        staging.write(0, b"!").unwrap();
        assert_eq!(all(&*below), b"!1abXY678end");
    }

    #[test]
    fn what_was_cut_off_does_not_come_back() {
        let (staging, below) = ten_bytes();
        staging.write(6, b"gone").unwrap();
        staging.set_len(4).unwrap();
        staging.set_len(8).unwrap();
        staging.write(7, b"!").unwrap();
        assert_eq!(all(&staging), b"0123\0\0\0!");
        assert!(staging.read(7, &mut [0; 2]).is_err());
        staging.release().unwrap();
        assert_eq!(all(&*below), b"0123\0\0\0!");
    }
}
